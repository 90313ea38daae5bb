"""Whether symbolic links, followed one after another, stay inside the tree."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_HOPS = 40
"""Links that Linux follows before it gives up with ELOOP: path_resolution(7). Other programs go
on in their own ways, some of them out of the tree, so a longer way counts as one that leads out."""

_MOST_STEPS, _STEPS_A_LINK = 1 << 20, 16
"""Parts of paths that are walked in one tree, at least and for each of its links. No honest tree
comes near; a hostile one could otherwise keep a device busy for hours."""


def first_escape(links: Mapping[str, str]) -> str | None:
    """The first link that leads out of the tree or in circles by way of others, if there is one.

    A target alone does not tell: with ``a/up -> ..`` the harmless-looking ``b -> a/up/..`` is the
    folder above the tree.

    Args:
        links: Path and target of every link; the folders above each path are real folders.
    """
    left = _MOST_STEPS + _STEPS_A_LINK * len(links)
    for path in links:
        left = _walk(path, links, left)
        if left < 0:
            return path
    return None


def _walk(path: str, links: Mapping[str, str], left: int) -> int:
    """Follow a link; the steps that are left afterwards, or -1 if it leads out or too far."""
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
            if hops > _MOST_HOPS:
                return -1
            here.pop()
            ahead += target.split("/")[::-1]
    return left
