"""What can be wrong with a tree."""

from __future__ import annotations

from repoint.model.errors import RepointError
from repoint.tree.compare import Difference


class UnfitTreeError(RepointError):
    """The tree holds something that no sealed tree may hold, or cannot be read."""


class SealMismatchError(RepointError):
    """A tree is not the one that its seal promises.

    Attributes:
        differences: What differs, in path order; empty where only the seals are known.
    """

    def __init__(
        self, message: str, *, differences: tuple[Difference, ...] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.differences = differences
