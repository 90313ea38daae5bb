"""Errors of encoding and decoding."""

from __future__ import annotations

from repoint.model.errors import RepointError


class PatchError(RepointError):
    """A patch is malformed, truncated or tampered with, or does not give the declared output."""


class DeltaChildError(RepointError):
    """Encoding or decoding failed for lack of memory, time, disk or a library, or crashed."""
