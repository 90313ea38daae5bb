"""The disk space that an installation needs; the plan and the installation use the same number."""

from __future__ import annotations

from repoint.model.improvement import Improvement

RESERVE = 32 << 20
"""Bytes that an installation leaves free, so that an improvement never fills a disk."""


def space_needed(improvement: Improvement) -> int:
    """Return the free bytes on the store's file system that an installation requires."""
    return improvement.disk_size + RESERVE
