"""The payload: a header and a fixed list of compressed streams.

    "E", version, size of the new file
    for each stream: its size and, unless it is small, its method and stored size
    for the small streams together: method and stored size
    the stored bytes of each large stream, then those of the small ones

All numbers are LEB128 (`columns.pack`). Streams of less than `_SMALL` bytes are joined in order and
compressed as one.
"""

from dataclasses import dataclass, fields

import numpy as np

from repoint.delta.elf.payload.columns import compress, decompress, pack
from repoint.delta.errors import PatchError

VERSION = 1
_MAGIC = b"E"
_SMALL = 1024
_MOST = 4
"""All streams together are at most this many times as large as the new file (and a page)."""


@dataclass(frozen=True)
class Streams:
    """The streams of a payload, uncompressed. `docs/delta.md` says what each of them holds."""

    layout: bytes
    derived: bytes
    copy_gap: bytes
    copy_length: bytes
    copy_from: bytes
    move_gap: bytes
    move_length: bytes
    move_delta: bytes
    fix_gap: bytes
    fix_value: bytes
    swap_gap: bytes
    swap_length: bytes
    rest_gap: bytes
    rest_value: bytes
    new_bytes: bytes


NAMES = tuple(f.name for f in fields(Streams))


def dump(streams: Streams, new_size: int) -> bytes:
    """Return the payload that holds these streams."""
    head: list[int] = [VERSION, new_size]
    body, small = [], []
    for name in NAMES:
        raw: bytes = getattr(streams, name)
        head.append(len(raw))
        if len(raw) < _SMALL:
            small.append(raw)
            continue
        method, packed = compress(raw)
        head += [method, len(packed)]
        body.append(packed)
    method, packed = compress(b"".join(small))
    head += [method, len(packed)]
    return _MAGIC + pack(np.array(head, np.int64)) + b"".join([*body, packed])


def load(payload: bytes, new_size: int) -> Streams:
    """Return the streams of a payload for a new file of this size.

    Raises:
        PatchError: The payload is damaged, or made for a file of another size.
    """
    reader = _Reader(payload)
    head = _head(reader, new_size)
    large = iter([decompress(m, reader.take(packed), raw) for raw, m, packed in head.large])
    raw, method, packed = head.small
    together = decompress(method, reader.take(packed), raw)
    reader.finish()
    out, at = [], 0
    for size in head.sizes:
        if size >= _SMALL:
            out.append(next(large))
        else:
            out.append(together[at : at + size])
            at += size
    return Streams(*out)


def sizes(payload: bytes, new_size: int) -> list[tuple[str, int, int]]:
    """Return (name, bytes, stored bytes) of each large stream, the small ones, and the head."""
    reader = _Reader(payload)
    head = _head(reader, new_size)
    names = [name for name, size in zip(NAMES, head.sizes, strict=True) if size >= _SMALL]
    rows = [(name, raw, packed) for name, (raw, _, packed) in zip(names, head.large, strict=True)]
    rows.append(("small streams together", head.small[0], head.small[2]))
    rows.append(("head", reader.position, reader.position))
    return rows


@dataclass(frozen=True)
class _Head:
    """The numbers at the front of a payload.

    Attributes:
        sizes: The size of each stream.
        large: Size, method and stored size of each large stream.
        small: The same of the small streams together.
    """

    sizes: list[int]
    large: list[tuple[int, int, int]]
    small: tuple[int, int, int]


def _head(reader: "_Reader", new_size: int) -> _Head:
    if not reader.starts_with(_MAGIC) or reader.number() != VERSION:
        raise PatchError("an ELF delta of an unknown version")
    if reader.number() != new_size:
        raise PatchError("an ELF delta for a file of another size")
    large: list[tuple[int, int, int]] = []
    sizes = []
    for _ in NAMES:
        sizes.append(reader.number())
        if sizes[-1] >= _SMALL:
            large.append((sizes[-1], reader.number(), reader.number()))
    if sum(sizes) > _MOST * (new_size + 4096):
        raise PatchError("an ELF delta declares more than its file justifies")
    small = sum(size for size in sizes if size < _SMALL)
    return _Head(sizes, large, (small, reader.number(), reader.number()))


class _Reader:
    """Takes numbers and bytes off the front of a payload."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 1

    @property
    def position(self) -> int:
        """Number of bytes taken so far."""
        return self._at

    def starts_with(self, magic: bytes) -> bool:
        """Return whether the payload begins with `magic`, which is one byte."""
        return self._payload[:1] == magic

    def number(self) -> int:
        """Return the next LEB128 number."""
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise PatchError("an ELF delta has a number that is too large")

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        end = self._at + size
        if end > len(self._payload):
            raise PatchError("an ELF delta is truncated")
        piece = self._payload[self._at : end]
        self._at = end
        return piece

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        if self._at != len(self._payload):
            raise PatchError("an ELF delta has bytes after its end")
