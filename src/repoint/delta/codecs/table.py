"""A table of codecs, in order of preference."""

from __future__ import annotations

from collections.abc import Iterator

from repoint.delta.codecs.codec import Codec
from repoint.delta.errors import PatchError


class CodecTable:
    """The codecs that may encode a file. Of equally small payloads the first codec's is taken.

    The first codec is the plain copy: it applies to every pair of equal files and to no other.
    """

    def __init__(self, *codecs: Codec) -> None:
        self._codecs = {codec.name: codec for codec in codecs}

    def __iter__(self) -> Iterator[Codec]:
        return iter(self._codecs.values())

    def named(self, name: str) -> Codec:
        """Return the codec of this name.

        Raises:
            PatchError: There is none; the patch may need a newer Repoint.
        """
        codec = self._codecs.get(name)
        if codec is None:
            raise PatchError(
                f"the patch uses an unknown codec: {name[:40]!r}",
                hint="Update Repoint on this device",
            )
        return codec

    def rank(self, name: str, length: int) -> tuple[int, int]:
        """Return a sort key for payloads: shorter ones first, then by the order of the table."""
        return length, list(self._codecs).index(name)
