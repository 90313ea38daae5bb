"""Codec `members`: files that hold other files, such as wheels, jars and gzip files."""

from __future__ import annotations

from repoint.delta.codecs.codec import LARGEST, Codec
from repoint.delta.codecs.table import CodecTable


class Members(Codec):
    """Members are taken out, encoded by other codecs and compressed again.

    The method is described in `docs/delta.md`; the code is `repoint.delta.members`.

    Args:
        inner: The codecs for the contents of members.
    """

    name = "members"
    largest = LARGEST

    def __init__(self, inner: CodecTable) -> None:
        self._inner = inner

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        from repoint.delta.members.codec import encode

        return encode(old, new, self._inner)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        from repoint.delta.members.codec import decode

        decode(old, payload, new, self._inner)

    def prepare(self) -> None:
        import repoint.delta.members.codec  # noqa: F401
