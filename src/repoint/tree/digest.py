"""The seal: the digest of a tree."""

from __future__ import annotations

from collections.abc import Iterable

from repoint.model.tree import Entry

_HEAD = b"repoint seal 1\0"


def seal_of(entries: Iterable[Entry]) -> str:
    """Return the seal of a tree: 64 hexadecimal digits.

    It is the SHA-256 of the path, kind, octal mode, and file digest or link target of every entry,
    in the byte order of the paths. Each field ends with a NUL, which none of them can contain.
    Owners, times and the tree's own location are not part of it.
    """
    import hashlib  # loads the cryptographic library, which showing the status does not need

    digest = hashlib.sha256(_HEAD)
    for entry in sorted(entries, key=lambda entry: entry.path.encode()):
        content = entry.sha256 if entry.kind == "file" else entry.target
        line = f"{entry.path}\0{entry.kind}\0{entry.mode:04o}\0{content}\0"
        digest.update(line.encode())
    return digest.hexdigest()
