"""Paths and links of a system whose /bin, /lib and /sbin are merged into /usr.

A package may still name its files ``lib/…``; on the system they lie in ``usr/lib/…``, and that is
where Repoint has them too. A link's absolute target is kept as the relative one that leads to the
same file.
"""

from __future__ import annotations

import posixpath

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32")
"""Folders of / that are links into /usr: file-hierarchy(7), and Debian's usrmerge."""


def merged_path(path: str) -> str:
    """Return where a merged system has a path; both are relative to ``/``."""
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path


def is_merging_link(path: str) -> bool:
    """Return whether a link at this path, relative to ``/``, is one that merges a folder."""
    return path in _MERGED


def relative_target(path: str, target: str) -> str:
    """Return the target of a link as a relative one.

    Args:
        path: Where the link is, relative to ``/``, as `merged_path` returns it.
        target: Its target; a relative one is returned as it is.
    """
    if not target.startswith("/"):
        return target
    inside = posixpath.normpath(f"/{target.lstrip('/')}")[1:]
    return posixpath.relpath(f"/{merged_path(inside)}", f"/{posixpath.dirname(path)}")
