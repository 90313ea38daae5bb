"""Errors of the publisher."""

from __future__ import annotations

from repoint.model.errors import RepointError
from repoint.model.reopened import ClaimedFix


class UnknownBaselineError(RepointError):
    """No baseline of the product matches, or several do."""


class BaselineExistsError(RepointError):
    """The baseline is already registered; baselines are never modified."""


class RetiredBaselineError(RepointError):
    """The baseline is retired, or is not although it was to be taken back."""


class UnknownImprovementError(RepointError):
    """No improvement of the product has that label."""


class LetterTakenError(RepointError):
    """The letter is already used, or is before one that is."""


class AlreadyWithdrawnError(RepointError):
    """The improvement is already withdrawn."""


class UnknownFixError(RepointError):
    """A correction names a fix that no earlier letter has, or contradicts the advisory."""


class LostFixesError(RepointError):
    """The improvement would lose fixes of earlier letters; ``lost`` are these."""

    def __init__(self, message: str, *, hint: str, lost: tuple[ClaimedFix, ...]) -> None:
        super().__init__(message, hint=hint)
        self.lost = lost


class ManifestError(RepointError):
    """The manifest cannot be read, or something in it does not fit; the message says where."""


class MissingSourceError(RepointError):
    """The pattern of a source leads to nothing, or to several files."""


class NothingChangedError(RepointError):
    """The fixed component is the same as the baseline's."""


class WrongPatchError(RepointError):
    """A patch that was just built does not give the improved tree."""


class OutputWriteError(RepointError):
    """A given path cannot be read or written."""


class UnfitChangeError(RepointError):
    """A fixed component changes what no improvement may change."""


class UnfitForSystemError(RepointError):
    """A system extension cannot hold a component, or a change of it."""


class RolloutPlanError(RepointError):
    """The schedule of a rollout is malformed."""


class RolloutStateError(RepointError):
    """A change of a rollout does not fit its state."""
