"""The payload: a header and a fixed list of compressed streams.

    "E" version, new size | per stream: raw size, and if that is not small: method, packed size
    | of the small streams together: method, packed size | packed bytes of large ones, of small ones

All numbers are LEB128 (`columns.pack`). Streams of less than `_SMALL` bytes are compressed as one,
in their order.
"""

from dataclasses import dataclass, fields

import numpy as np

from repoint.delta.elf.columns import compress, decompress, pack
from repoint.delta.errors import PatchError

VERSION = 1
_MAGIC = b"E"
_SMALL = 1024
_MOST = 4
"""Streams together are at most this many times as large as the new file (and a page)."""


@dataclass(frozen=True)
class Streams:
    """The parts of a patch, uncompressed. Columns are packed integers, see METHOD.md."""

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
    """Return the payload of these streams."""
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
    """Return the streams of a payload made for a new file of that size."""
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
    """Return (name, bytes, stored bytes) of the streams, small ones together, and of the head."""
    reader = _Reader(payload)
    head = _head(reader, new_size)
    names = [name for name, size in zip(NAMES, head.sizes, strict=True) if size >= _SMALL]
    rows = [(name, raw, packed) for name, (raw, _, packed) in zip(names, head.large, strict=True)]
    rows.append(("small streams together", head.small[0], head.small[2]))
    rows.append(("head", reader.position, reader.position))
    return rows


@dataclass(frozen=True)
class _Head:
    """The numbers at the front: stream sizes, and (raw, method, packed) of what is compressed."""

    sizes: list[int]
    large: list[tuple[int, int, int]]
    small: tuple[int, int, int]


def _head(reader: "_Reader", new_size: int) -> _Head:
    if not reader.begins(_MAGIC) or reader.number() != VERSION:
        raise PatchError("not an ELF delta of a version that is known here")
    if reader.number() != new_size:
        raise PatchError("an ELF delta for a file of another size")
    large: list[tuple[int, int, int]] = []
    each = []
    for _ in NAMES:
        each.append(reader.number())
        if each[-1] >= _SMALL:
            large.append((each[-1], reader.number(), reader.number()))
    if sum(each) > _MOST * (new_size + 4096):
        raise PatchError("an ELF delta whose sizes cannot be true")
    small = sum(size for size in each if size < _SMALL)
    return _Head(each, large, (small, reader.number(), reader.number()))


class _Reader:
    """Takes numbers and bytes off the front of a payload."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 1

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._at

    def begins(self, magic: bytes) -> bool:
        """Whether the payload begins with `magic`, one byte."""
        return self._payload[:1] == magic

    def number(self) -> int:
        """Return the next LEB128 number."""
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise PatchError("an ELF delta with a number that is too large")

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        end = self._at + size
        if end > len(self._payload):
            raise PatchError("an ELF delta that ends too early")
        piece = self._payload[self._at : end]
        self._at = end
        return piece

    def finish(self) -> None:
        """Refuse bytes behind the end."""
        if self._at != len(self._payload):
            raise PatchError("an ELF delta with bytes behind its end")
