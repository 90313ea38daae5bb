"""Errors about trees."""

from __future__ import annotations

from repoint.model.errors import RepointError
from repoint.tree.compare import Difference


class UnfitTreeError(RepointError):
    """The tree contains something that a sealed tree cannot contain, or cannot be read."""


class SealMismatchError(RepointError):
    """A tree does not have the expected seal.

    Attributes:
        differences: The differences, in path order; empty if only the seals are known.
    """

    def __init__(
        self, message: str, *, differences: tuple[Difference, ...] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.differences = differences
