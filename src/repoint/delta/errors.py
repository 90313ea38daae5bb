"""What can go wrong between a patch and its output."""

from __future__ import annotations

from repoint.model.errors import RepointError


class PatchError(RepointError):
    """A patch is malformed, truncated or tampered with, or does not give the declared output."""


class DeltaChildError(RepointError):
    """The process that encodes or decodes could not finish: memory, time, disk or a crash."""
