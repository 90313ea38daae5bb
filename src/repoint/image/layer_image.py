"""The image of a layer: what of an improved tree must lie over the baseline's."""

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
class Overlay:
    """A tree that is laid over another one.

    Attributes:
        before: The entries of the lower tree.
        after: The entries of the tree that is laid over it.
        content: Returns the file with the content of a changed path.
    """

    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    content: Callable[[str], Path]


def layer_overlay(
    baseline: tuple[Entry, ...], layer: Layer, content: Callable[[str], Path]
) -> Overlay:
    """Return the overlay of a baseline with the tree that a layer makes of it."""
    return Overlay(baseline, apply_layer(baseline, layer), content)


def layer_image(
    overlays: Iterable[Overlay],
    extra_files: Mapping[str, bytes],
    *,
    created: int,
    first: int = FIRST,
) -> Image:
    """Return the image of several overlays whose paths have one common root.

    The image is reproducible: it depends on nothing but the arguments and the files' contents.

    Args:
        overlays: The trees.
        extra_files: Additional files, by path.
        created: Modification time of every inode, in seconds since 1970.
        first: See `erofs.Image`.

    Raises:
        InvalidRecordError: An image cannot hold an entry, or two trees differ about a path.
    """
    nodes: dict[str, Node] = {}
    digests: dict[str, str] = {}

    def put(path: str, node: Node, digest: str) -> None:
        known = nodes.setdefault(path, node)
        if (known.mode, digests.setdefault(path, digest)) != (node.mode, digest):
            raise InvalidRecordError(f"Two components disagree on {path!r}")

    for overlay in overlays:
        entries = {e.path: e for e in (*overlay.before, *overlay.after)}
        present = changed(overlay.before, overlay.after)
        removed = hidden(overlay.before, overlay.after)
        for entry in (*present, *removed):
            for above in _folders_above(entry.path):
                mode = entries[above].mode if above in entries else 0o755
                put(above, Node(stat.S_IFDIR | mode | 0o200), "")
        for entry in present:
            put(entry.path, _node(entry, overlay), entry.sha256 or entry.target)
        for entry in removed:
            put(entry.path, Node(stat.S_IFCHR), "")
    for path, text in extra_files.items():
        for above in _folders_above(path):
            nodes.setdefault(above, Node(stat.S_IFDIR | 0o755))
        node = Node(stat.S_IFREG | 0o444, len(text), text)
        put(path, node, hashlib.sha256(text).hexdigest())
    return Image(nodes, created=created, identity=_identity(nodes, digests), first=first)


def folders_of(image: Image) -> dict[str, int]:
    """Return the permissions of every folder of an image except its root."""
    return {
        path: stat.S_IMODE(node.mode)
        for path, node in image.nodes.items()
        if path and stat.S_ISDIR(node.mode)
    }


def _node(entry: Entry, overlay: Overlay) -> Node:
    if entry.kind == "folder":
        # A sealed mode has no write bits, but the system's folders are writable by their owner.
        return Node(stat.S_IFDIR | entry.mode | 0o200)
    if entry.kind == "link":
        return Node(stat.S_IFLNK | 0o777, target=entry.target)
    return Node(stat.S_IFREG | entry.mode, entry.size, overlay.content(entry.path))


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _identity(nodes: Mapping[str, Node], digests: Mapping[str, str]) -> bytes:
    """Return a UUID with custom content (RFC 9562, version 8), derived from the image's content."""
    digest = hashlib.sha256(_HEAD)
    for path in sorted(nodes, key=lambda path: path.encode()):
        digest.update(f"{path}\0{nodes[path].mode:06o}\0{digests.get(path, '')}\0".encode())
    uuid = bytearray(digest.digest()[:16])
    uuid[6] = uuid[6] & 0x0F | 0x80
    uuid[8] = uuid[8] & 0x3F | 0x80
    return bytes(uuid)
