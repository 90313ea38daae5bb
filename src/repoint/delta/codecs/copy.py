"""Codec `copy`: the new file equals the old one."""

from __future__ import annotations

from repoint.delta.codecs.codec import Codec
from repoint.delta.errors import PatchError
from repoint.delta.mapped import fill, same_bytes


class Copy(Codec):
    """The new file is the old one under another name; the payload is empty."""

    name = "copy"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        return b"" if same_bytes(old, new) else None

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        if len(payload) or len(old) != len(new):
            raise PatchError("a copied file does not have the length of its source")
        fill(new, old)
