"""Records that a device can do without."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

Note = TypeVar("Note", bound=msgspec.Struct)


def read_note(path: Path, kind: type[Note]) -> Note | None:
    """A record that can be done without: nothing where it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
