"""What of a tree has to lie over the old one, and the image that holds it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from repoint.image.erofs import FIRST, Image, Node
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry, Layer
from repoint.tree.compare import apply_layer, changed, hidden

_HEAD = b"repoint image 1\0"


@dataclass(frozen=True)
class Over:
    """A tree that lies over another one.

    Attributes:
        before: What the other one holds.
        after: What the tree holds.
        content: Tells where the content of a changed file is.
    """

    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    content: Callable[[str], Path]


def layered(baseline: tuple[Entry, ...], layer: Layer, content: Callable[[str], Path]) -> Over:
    """The tree that a layer makes of a baseline, over that baseline."""
    return Over(baseline, apply_layer(baseline, layer), content)


def layer_image(
    overs: Iterable[Over], more: Mapping[str, bytes], *, created: int, first: int = FIRST
) -> Image:
    """The image of what lies over trees that all begin at one place.

    It is the same wherever it is made: nothing but the arguments and the contents goes into it.

    Args:
        overs: The trees.
        more: Files that it holds beside, by their path.
        created: Time of everything in it, in seconds since 1970.
        first: See `erofs.Image`.

    Raises:
        InvalidRecordError: Something cannot stand in one image, or two trees disagree.
    """
    nodes: dict[str, Node] = {}
    digests: dict[str, str] = {}

    def put(path: str, node: Node, digest: str) -> None:
        known = nodes.setdefault(path, node)
        if (known.mode, digests.setdefault(path, digest)) != (node.mode, digest):
            raise InvalidRecordError(f"Two components disagree on {path!r}")

    for over in overs:
        entries = {e.path: e for e in (*over.before, *over.after)}
        shown = changed(over.before, over.after)
        gone = hidden(over.before, over.after)
        for entry in (*shown, *gone):
            for above in _folders_above(entry.path):
                mode = entries[above].mode if above in entries else 0o755
                put(above, Node(stat.S_IFDIR | mode | 0o200), "")
        for entry in shown:
            put(entry.path, _node(entry, over), entry.sha256 or entry.target)
        for entry in gone:
            put(entry.path, Node(stat.S_IFCHR), "")
    for path, text in more.items():
        for above in _folders_above(path):
            nodes.setdefault(above, Node(stat.S_IFDIR | 0o755))
        node = Node(stat.S_IFREG | 0o444, len(text), text)
        put(path, node, hashlib.sha256(text).hexdigest())
    return Image(nodes, created=created, identity=_identity(nodes, digests), first=first)


def folders_of(image: Image) -> dict[str, int]:
    """The folders of an image but its root, and their permissions."""
    return {
        path: stat.S_IMODE(node.mode)
        for path, node in image.nodes.items()
        if path and stat.S_ISDIR(node.mode)
    }


def _node(entry: Entry, over: Over) -> Node:
    if entry.kind == "folder":
        # A sealed mode has no write bits. For its owner a folder of the system has them.
        return Node(stat.S_IFDIR | entry.mode | 0o200)
    if entry.kind == "link":
        return Node(stat.S_IFLNK | 0o777, target=entry.target)
    return Node(stat.S_IFREG | entry.mode, entry.size, over.content(entry.path))


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _identity(nodes: Mapping[str, Node], digests: Mapping[str, str]) -> bytes:
    """A UUID of the sort that may hold anything (RFC 9562, version 8), from the content."""
    digest = hashlib.sha256(_HEAD)
    for path in sorted(nodes, key=lambda path: path.encode()):
        digest.update(f"{path}\0{nodes[path].mode:06o}\0{digests.get(path, '')}\0".encode())
    made = bytearray(digest.digest()[:16])
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    return bytes(made)
