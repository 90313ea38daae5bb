"""Writing a file system image that depends on its content alone: EROFS, uncompressed.

The image is signed by the digest of its blocks, and made anew on every device. So each byte must
follow from what it holds, today and in ten years: what ``mkfs.erofs`` writes differs from version
to version. This is the least that the kernel needs (Documentation/filesystems/erofs.rst, and
fs/erofs/erofs_fs.h for the structures): one block size, whole blocks for each file, no extended
attributes, everything owned by root, one time for all.

Order of the blocks: the superblock and the root's inode; the other inodes; then what folders,
links and files hold, in path order.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repoint.model.errors import InvalidRecordError

BLOCK = 4096
"""Bytes of a block. Kernels before 6.4 mount nothing else, where that is the size of a page too."""

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
"""Bytes that one inode number stands for: a number tells where its inode lies in the image."""
_ROOT = (_SUPER_AT + _SUPER.size) // SLOT
FIRST = _ROOT + 2
"""The least number that an inode other than the root's can have."""
LAST_FIRST = 1 << 22
"""The largest number that an image may begin with: what lies before it are 128 MiB of nothing."""

_CHUNK = 256 * BLOCK
_LONGEST_NAME = 255
_LONGEST_LINK = BLOCK - 1
_MOST_BLOCKS = (1 << 32) - 1


@dataclass(frozen=True)
class Node:
    """One path of an image.

    Attributes:
        mode: Type and permissions, as ``st_mode`` has them. A character device is the one with the
            numbers 0 and 0, by which overlayfs knows that a path below is hidden.
        size: Bytes of a file.
        content: Where a file's content is, or what it is.
        target: Where a link points.
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
    """The layout of an image; nothing is read or written before `chunks` is.

    Args:
        nodes: What it holds, by path. The folders above each path must be among them; the root,
            which has the path ``""``, is added.
        created: Time of everything in it, in seconds since 1970.
        identity: The 16 bytes by which programs tell images apart.
        first: The number of the first inode but the root's. The others follow in path order.

    Attributes:
        nodes: What it holds, with the root.
        identity: As above.
        numbers: The number of each path's inode, which is what programs see as ``st_ino``.
        end: The number after the last one.
        size: Bytes of the image.

    Raises:
        InvalidRecordError: Something cannot stand in an image.
    """

    def __init__(
        self, nodes: Mapping[str, Node], *, created: int, identity: bytes, first: int = FIRST
    ) -> None:
        if not FIRST <= first <= LAST_FIRST:
            raise InvalidRecordError(f"No image can begin with the number {first}")
        if not 0 <= created < 1 << 63:
            raise InvalidRecordError(f"{created} is no time for an image")
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
        if block > _MOST_BLOCKS:
            raise InvalidRecordError("The image would be larger than an image can be")
        self.size = block * BLOCK

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the image, in whole blocks and in order.

        Raises:
            OSError: A file cannot be read.
            InvalidRecordError: A file has another length than was said.
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
            if not 0 < size <= _LONGEST_LINK:
                raise InvalidRecordError(f"The target of the link {path!r} is too long")
            return size
        return node.size

    def _head(self) -> Iterator[bytes]:
        """The superblock and all inodes. Between the root's and the next there may be nothing."""
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
        """Bytes of the whole blocks between the root's inode and the next, with nothing in them."""
        return max(0, self._first * SLOT // BLOCK - 1) * BLOCK


def _children(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """What lies in each folder, and a refusal of what could lie in none."""
    children: dict[str, list[str]] = {p: [] for p, n in nodes.items() if stat.S_ISDIR(n.mode)}
    for path in nodes:
        if not path:
            continue
        above, _, name = path.rpartition("/")
        if above not in children:
            raise InvalidRecordError(f"{path!r} lies below {above!r}, which is no folder")
        if not 0 < len(name.encode()) <= _LONGEST_NAME or name in (".", ".."):
            raise InvalidRecordError(f"The name of {path!r} cannot stand in an image")
        children[above].append(path)
    return children


def _folder(
    path: str, numbers: Mapping[str, int], nodes: Mapping[str, Node], below: Iterable[str]
) -> bytes:
    """What a folder holds: in each block first the numbers, then the names, in order of bytes."""
    above = path.rpartition("/")[0]
    listed = [(b".", path), (b"..", above)]
    listed += [(child.rpartition("/")[2].encode(), child) for child in below]
    blocks: list[bytes] = []
    waiting: list[tuple[bytes, str]] = []
    used = 0
    for name, child in sorted(listed):
        if used + _DIRENT.size + len(name) > BLOCK:
            blocks.append(_padded(_listing(waiting, numbers, nodes)))
            waiting, used = [], 0
        waiting.append((name, child))
        used += _DIRENT.size + len(name)
    return b"".join([*blocks, _listing(waiting, numbers, nodes)])


def _listing(
    listed: list[tuple[bytes, str]], numbers: Mapping[str, int], nodes: Mapping[str, Node]
) -> bytes:
    place = _DIRENT.size * len(listed)
    entries = []
    for name, child in listed:
        kind = _TYPES[stat.S_IFMT(nodes[child].mode)]
        entries.append(_DIRENT.pack(numbers[child], place, kind))
        place += len(name)
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
                break  # it has become shorter under our hands
            yield _padded(chunk)
        if left or file.read(1):
            raise InvalidRecordError(f"The content of {path!r} has another length than was said")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
