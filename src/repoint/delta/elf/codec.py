"""The way in: encode and decode one file, and no error but `PatchError` comes out of decoding."""

from __future__ import annotations

import numpy as np

from repoint.delta.elf import encode as encoder
from repoint.delta.elf import streams
from repoint.delta.elf.decode import decode as fill
from repoint.delta.elf.layout import NotSupported
from repoint.delta.errors import PatchError


def encode(old: memoryview, new: memoryview) -> bytes | None:
    """Return the payload, or None when a file is not an ELF file that this codec reads."""
    try:
        parts = encoder.encode(np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8))
    except NotSupported:
        return None
    return streams.dump(parts, len(new))


def decode(old: memoryview, payload: memoryview, new: memoryview) -> None:
    """Fill the writable ``new`` with the new file.

    Raises:
        PatchError: The payload is damaged, hostile, or made for other files.
    """
    target = np.frombuffer(new, np.uint8)
    try:
        fill(np.frombuffer(old, np.uint8), bytes(payload), target)
    except (ValueError, IndexError, OverflowError, TypeError, ArithmeticError) as error:
        # Whatever an array refuses comes from a number in the payload that cannot be true.
        raise PatchError("an ELF delta is damaged") from error
