"""Codec `elf`: compiled code, whose references are found, mapped and predicted."""

from __future__ import annotations

from repoint.delta.codecs.codec import LARGEST, Codec

_MAGIC = b"\x7fELF"


class Elf(Codec):
    """The method is described in `docs/delta.md`; the code is `repoint.delta.elf`."""

    name = "elf"
    largest = LARGEST

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        if bytes(old[:4]) != _MAGIC or bytes(new[:4]) != _MAGIC:
            return None
        from repoint.delta.elf.codec import encode

        return encode(old, new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        from repoint.delta.elf.codec import decode

        decode(old, payload, new)

    def prepare(self) -> None:
        import lzma  # noqa: F401

        import numpy as np

        import repoint.delta.elf.codec  # noqa: F401

        np.unique(np.zeros(1))  # loads the masked arrays
