"""What can stand in a vendor's way."""

from __future__ import annotations

from repoint.model.errors import RepointError


class UnknownBaselineError(RepointError):
    """No baseline of the product is the one that was named, or several are."""


class BaselineExistsError(RepointError):
    """The baseline is registered already; baselines are never modified."""


class UnknownImprovementError(RepointError):
    """No improvement of the product has that label."""


class LetterTakenError(RepointError):
    """The letter was given before, or lies before one that was."""


class NothingChangedError(RepointError):
    """The fixed component is the same as the baseline's."""


class WrongPatchError(RepointError):
    """A patch that was just built does not give the improved tree."""


class OutputWriteError(RepointError):
    """A path that was named cannot be read or written."""


class UnfitForSystemError(RepointError):
    """A component, or a change of it, that no system extension could hold."""
