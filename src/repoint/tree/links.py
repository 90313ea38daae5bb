"""Symbolic links that lead out of a tree through other links."""

from __future__ import annotations

from collections.abc import Mapping

_MAX_HOPS = 40
"""Links that Linux follows before it fails with ELOOP: path_resolution(7). Other programs follow
more, perhaps out of the tree, so a longer chain counts as one that leads out."""

_MIN_STEPS, _STEPS_PER_LINK = 1 << 20, 16
"""Limit of path components that are walked in one tree: a minimum, plus an amount for each link. No
honest tree comes near it; a hostile one could otherwise keep a device busy for hours."""


def first_escape(links: Mapping[str, str]) -> str | None:
    """Return the first link that leads out of the tree or in circles through others, or None.

    The target alone does not show it: with ``a/up -> ..`` the harmless-looking ``b -> a/up/..`` is
    the folder above the tree.

    Args:
        links: Path and target of every link; the folders above each path are real folders.
    """
    left = _MIN_STEPS + _STEPS_PER_LINK * len(links)
    for path in links:
        left = _walk(path, links, left)
        if left < 0:
            return path
    return None


def _walk(path: str, links: Mapping[str, str], left: int) -> int:
    """Follow a link. Return the steps that remain, or -1 if it leads out or too far."""
    here = path.split("/")[:-1]
    ahead = links[path].split("/")[::-1]
    hops = 1
    while ahead:
        part = ahead.pop()
        left -= 1
        if left < 0:
            return -1
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return -1
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is not None:
            hops += 1
            if hops > _MAX_HOPS:
                return -1
            here.pop()
            ahead += target.split("/")[::-1]
    return left
