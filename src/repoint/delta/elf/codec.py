"""The entry points: encode and decode one file."""

from __future__ import annotations

import numpy as np

from repoint.delta.elf import encode as encoder
from repoint.delta.elf.common.layout import UnsupportedFileError
from repoint.delta.elf.decode import decode as fill
from repoint.delta.elf.payload.streams import dump
from repoint.delta.errors import PatchError


def encode(old: memoryview, new: memoryview) -> bytes | None:
    """Return the payload, or None if either file is not an ELF file that this codec reads."""
    try:
        streams = encoder.encode(np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8))
    except UnsupportedFileError:
        return None
    return dump(streams, len(new))


def decode(old: memoryview, payload: memoryview, new: memoryview) -> None:
    """Fill `new`; the payload may be hostile.

    Raises:
        PatchError: The payload is damaged, or made for other files.
    """
    target = np.frombuffer(new, np.uint8)
    try:
        fill(np.frombuffer(old, np.uint8), bytes(payload), target)
    except (ValueError, IndexError, OverflowError, TypeError, ArithmeticError) as error:
        # NumPy refuses a number that cannot be right, and all numbers come from the payload.
        raise PatchError("an ELF delta is damaged") from error
