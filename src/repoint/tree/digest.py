"""The seal: the digest of a tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from repoint.model.tree import Entry

_HEAD = b"repoint seal 1\0"


def seal_of(entries: Iterable[Entry]) -> str:
    """The seal of a tree: 64 hexadecimal digits.

    It is the SHA-256 of, for every path in order of its bytes, path, kind, mode in octal, and a
    file's digest or a link's target, each closed by a NUL (which none of them can hold). Owners
    and times are not part of it, nor is the folder in which the tree stands.
    """
    digest = hashlib.sha256(_HEAD)
    for entry in sorted(entries, key=lambda entry: entry.path.encode()):
        content = entry.sha256 if entry.kind == "file" else entry.target
        line = f"{entry.path}\0{entry.kind}\0{entry.mode:04o}\0{content}\0"
        digest.update(line.encode())
    return digest.hexdigest()
