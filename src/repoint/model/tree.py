"""The entries of a tree, and the layer that changes them."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.model.errors import InvalidRecordError

MAX_PATHS = 500_000
"""Paths that a layer may change: more than any product has, few enough for any device."""

Kind = Literal["file", "link", "folder"]
"""The types of path in a sealed tree. Devices, sockets and pipes are not allowed."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One path of a tree.

    Attributes:
        path: Relative to the tree, separated by ``/``; the tree itself has no entry.
        kind: File, symbolic link or folder.
        mode: Permission bits without the write bits (sealed trees are read-only); 0 for links.
        size: Bytes of a file.
        sha256: Hexadecimal digest of a file's content.
        target: The target of a symbolic link, unresolved.
    """

    path: str
    kind: Kind
    mode: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        check_path(self.path)
        if not 0 <= self.mode <= 0o7777 or self.mode & 0o222:
            raise InvalidRecordError(f"{self.path!r} has the mode {self.mode:o}")
        if self.kind == "file" and not _is_sha256(self.sha256):
            raise InvalidRecordError(f"{self.path!r} has no SHA-256 digest")
        if self.size < 0:
            raise InvalidRecordError(f"{self.path!r} has the size {self.size}")
        if self.kind == "link":
            check_link(self.path, self.target)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A path that a layer adds or replaces, and the baseline file that its content is made from.

    Attributes:
        entry: The entry in the improved tree.
        source: Baseline file from which the patch makes the content; empty if the content comes
            from the patch alone, or if only the mode changes.
    """

    entry: Entry
    source: str = ""

    def __post_init__(self) -> None:
        if self.source:
            check_path(self.source)


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The changed, added and removed paths of one component, relative to the baseline.

    Attributes:
        changes: Added or replaced paths, in path order.
        removed: Removed paths, in path order.
    """

    changes: tuple[Change, ...]
    removed: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.changes) + len(self.removed) > MAX_PATHS:
            raise InvalidRecordError(f"The layer has more than {MAX_PATHS:,} paths")
        for path in self.removed:
            check_path(path)


def check_path(path: str) -> None:
    """Refuse a path that leaves the tree, or that two systems may read differently.

    Raises:
        InvalidRecordError: The path is empty, absolute, or has an empty, ``.`` or ``..`` part,
            a NUL, or is not valid text.
    """
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidRecordError(f"The path {path!r} would leave the tree")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidRecordError(f"The path {path!r} is not valid UTF-8") from None
    if length > 4000:
        raise InvalidRecordError(f"The path {path[:60]!r}… is longer than 4,000 bytes")


def check_link(path: str, target: str) -> None:
    """Refuse a symbolic link that leads out of its tree.

    Raises:
        InvalidRecordError: The target is empty, absolute, or climbs above the tree.
    """
    if not target or target.startswith("/") or "\0" in target:
        raise InvalidRecordError(f"The link {path!r} leads out of the tree, to {target!r}")
    depth = path.count("/")
    for part in target.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            raise InvalidRecordError(f"The link {path!r} leads out of the tree, to {target!r}")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")
