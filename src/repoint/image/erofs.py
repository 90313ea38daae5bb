"""Reproducible file system images: EROFS, uncompressed.

The image is signed by the digest of its blocks and built again on every device, so each byte must
follow from the content alone, today and in ten years. The output of ``mkfs.erofs`` differs between
versions. This is the minimum that the kernel needs (Documentation/filesystems/erofs.rst, and
fs/erofs/erofs_fs.h for the structures): one block size, whole blocks for each file, no extended
attributes, everything owned by root, one timestamp.

Order of the blocks: the superblock and the root's inode; the other inodes; then the contents of
folders, links and files, in path order.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repoint.model.errors import InvalidRecordError

BLOCK = 4096
"""Bytes of a block. Kernels before 6.4 support only the page size."""

_MAGIC = 0xE0F5E1E2
_SUPER = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQB23x")
_SUPER_AT = 1024
_COMPAT_MTIME = 0x2
_COMPACT = struct.Struct("<HHHHIIIIHHI")
_EXTENDED = struct.Struct("<HHHHQIIIIQII16x")
_IS_EXTENDED = 1
_DIRENT = struct.Struct("<QHBx")
_TYPES = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFLNK: 7}

SLOT = 32
"""Bytes per inode number: the number of an inode is its position in the image."""
_ROOT = (_SUPER_AT + _SUPER.size) // SLOT
FIRST = _ROOT + 2
"""The lowest number of an inode other than the root's."""
LAST_FIRST = 1 << 22
"""The highest first inode number of an image: 128 MiB of zeros precede it."""

_CHUNK = 256 * BLOCK
_MAX_NAME = 255
_MAX_LINK = BLOCK - 1
_MAX_BLOCKS = (1 << 32) - 1


@dataclass(frozen=True)
class Node:
    """One path of an image.

    Attributes:
        mode: Type and permissions, as in ``st_mode``. A character device has the numbers 0 and 0:
            an overlayfs whiteout, which hides the path in the lower layer.
        size: Bytes of a file.
        content: A file's content, or the path of a file with it.
        target: The target of a symbolic link.
    """

    mode: int
    size: int = 0
    content: Path | bytes = b""
    target: str = ""


@dataclass(frozen=True)
class _Inode:
    number: int
    extended: bool
    links: int
    size: int
    block: int


class Image:
    """The layout of an image. No file is read before `chunks` is iterated.

    Args:
        nodes: The content, by path. It must include the folders above each path, except the root,
            which has the path ``""`` and is added.
        created: Modification time of every inode, in seconds since 1970.
        identity: The 16-byte UUID of the image.
        first: Number of the first inode after the root's. The others follow in path order.

    Attributes:
        nodes: The content, including the root.
        identity: As above.
        numbers: The inode number of each path, which programs see as ``st_ino``.
        end: The number after the last inode.
        size: Bytes of the image.

    Raises:
        InvalidRecordError: An image cannot hold a path.
    """

    def __init__(
        self, nodes: Mapping[str, Node], *, created: int, identity: bytes, first: int = FIRST
    ) -> None:
        if not FIRST <= first <= LAST_FIRST:
            raise InvalidRecordError(f"An image cannot have the first inode number {first}")
        if not 0 <= created < 1 << 63:
            raise InvalidRecordError(f"An image cannot have the time {created}")
        self.nodes: dict[str, Node] = {"": Node(stat.S_IFDIR | 0o755), **nodes}
        self._order = sorted(self.nodes, key=lambda path: path.encode())
        self._created = created
        self.identity = identity
        self._first = first
        children = _children(self.nodes)
        number = first
        extended = {}
        self.numbers: dict[str, int] = {}
        for path in self._order:
            node = self.nodes[path]
            subfolders = sum(stat.S_ISDIR(self.nodes[c].mode) for c in children.get(path, ()))
            extended[path] = node.size >= 1 << 32 or subfolders + 2 >= 1 << 16
            if path:
                self.numbers[path] = number
                number += 1 + extended[path]
            else:
                self.numbers[path] = _ROOT
        self.end = number
        self._folders = {
            path: _folder(path, self.numbers, self.nodes, children[path]) for path in children
        }
        block = self._data = -(-number * SLOT // BLOCK)
        self._inodes: dict[str, _Inode] = {}
        for path in self._order:
            node = self.nodes[path]
            links = 2 + sum(stat.S_ISDIR(self.nodes[c].mode) for c in children.get(path, ()))
            size = self._size(path)
            self._inodes[path] = _Inode(
                self.numbers[path],
                extended[path],
                links if stat.S_ISDIR(node.mode) else 1,
                size,
                block if size else 0,
            )
            block += -(-size // BLOCK)
        if block > _MAX_BLOCKS:
            raise InvalidRecordError("The image would exceed the maximum size")
        self.size = block * BLOCK

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the image, in whole blocks and in order.

        Raises:
            OSError: A file cannot be read.
            InvalidRecordError: A file does not have the expected length.
        """
        yield from self._head()
        for path in self._order:
            node = self.nodes[path]
            if stat.S_ISDIR(node.mode):
                yield _padded(self._folders[path])
            elif stat.S_ISLNK(node.mode):
                yield _padded(node.target.encode())
            elif stat.S_ISREG(node.mode) and node.size:
                yield from _content(path, node)

    def _size(self, path: str) -> int:
        node = self.nodes[path]
        if stat.S_ISDIR(node.mode):
            return len(self._folders[path])
        if stat.S_ISLNK(node.mode):
            size = len(node.target.encode())
            if not 0 < size <= _MAX_LINK:
                raise InvalidRecordError(f"The target of the link {path!r} is too long")
            return size
        return node.size

    def _head(self) -> Iterator[bytes]:
        """Yield the superblock and all inodes, with a possible gap after the root's inode."""
        head = bytearray(self._data * BLOCK - self._gap)
        _SUPER.pack_into(
            head, _SUPER_AT, _MAGIC, 0, _COMPAT_MTIME, BLOCK.bit_length() - 1, 0, _ROOT,
            len(self._order), self._created, 0, self.size // BLOCK, 0, 0, self.identity, b"",
            0, 0, 0, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip
        for count, path in enumerate(self._order, start=1):
            inode, mode = self._inodes[path], self.nodes[path].mode
            at = inode.number * SLOT - (self._gap if path else 0)
            if inode.extended:
                _EXTENDED.pack_into(
                    head, at, _IS_EXTENDED, 0, mode, 0, inode.size, inode.block, count, 0, 0,
                    self._created, 0, inode.links,
                )  # fmt: skip
            else:
                _COMPACT.pack_into(
                    head, at, 0, 0, mode, inode.links, inode.size, 0, inode.block, count, 0, 0, 0
                )
        yield bytes(head[:BLOCK])
        for at in range(0, self._gap, _CHUNK):
            yield bytes(min(_CHUNK, self._gap - at))
        yield bytes(head[BLOCK:])

    @property
    def _gap(self) -> int:
        """Bytes of the zero blocks between the root's inode and the next."""
        return max(0, self._first * SLOT // BLOCK - 1) * BLOCK


def _children(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Return the children of each folder; refuse paths that no folder can contain."""
    children: dict[str, list[str]] = {p: [] for p, n in nodes.items() if stat.S_ISDIR(n.mode)}
    for path in nodes:
        if not path:
            continue
        above, _, name = path.rpartition("/")
        if above not in children:
            raise InvalidRecordError(f"{path!r} lies below {above!r}, which is not a folder")
        if not 0 < len(name.encode()) <= _MAX_NAME or name in (".", ".."):
            raise InvalidRecordError(f"An image cannot contain the name of {path!r}")
        children[above].append(path)
    return children


def _folder(
    path: str, numbers: Mapping[str, int], nodes: Mapping[str, Node], below: Iterable[str]
) -> bytes:
    """Encode a folder: each block has the entries, then the names, in byte order."""
    above = path.rpartition("/")[0]
    listed = [(b".", path), (b"..", above)]
    listed += [(child.rpartition("/")[2].encode(), child) for child in below]
    blocks: list[bytes] = []
    pending: list[tuple[bytes, str]] = []
    used = 0
    for name, child in sorted(listed):
        if used + _DIRENT.size + len(name) > BLOCK:
            blocks.append(_padded(_listing(pending, numbers, nodes)))
            pending, used = [], 0
        pending.append((name, child))
        used += _DIRENT.size + len(name)
    return b"".join([*blocks, _listing(pending, numbers, nodes)])


def _listing(
    listed: list[tuple[bytes, str]], numbers: Mapping[str, int], nodes: Mapping[str, Node]
) -> bytes:
    offset = _DIRENT.size * len(listed)
    entries = []
    for name, child in listed:
        kind = _TYPES[stat.S_IFMT(nodes[child].mode)]
        entries.append(_DIRENT.pack(numbers[child], offset, kind))
        offset += len(name)
    return b"".join([*entries, *(name for name, _ in listed)])


def _content(path: str, node: Node) -> Iterator[bytes]:
    if isinstance(node.content, bytes):
        yield _padded(node.content)
        return
    left = node.size
    with node.content.open("rb") as file:
        while left > 0:
            chunk = file.read(_CHUNK)
            left -= len(chunk)
            if left < 0 or not chunk:
                break
            if left and len(chunk) % BLOCK:
                break  # the file was truncated meanwhile
            yield _padded(chunk)
        if left or file.read(1):
            raise InvalidRecordError(f"The content of {path!r} does not have the expected length")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
