"""What this machine can refuse."""

from __future__ import annotations

from repoint.model.errors import RepointError


class CannotMergeError(RepointError):
    """The system does not merge a layer over its base, or does not take it away."""
