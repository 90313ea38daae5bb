"""Whether symbolic links, followed one after another, stay inside the tree."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_HOPS = 40
"""Links that Linux follows before it gives up with ELOOP: path_resolution(7). Other programs go
on in their own ways, some of them out of the tree, so a longer way counts as one that leads out."""


def first_escape(links: Mapping[str, str]) -> str | None:
    """The first link that leads out of the tree or in circles by way of others, if there is one.

    A target alone does not tell: with ``a/up -> ..`` the harmless-looking ``b -> a/up/..`` is the
    folder above the tree.

    Args:
        links: Path and target of every link; the folders above each path are real folders.
    """
    return next((path for path in links if _escapes(path, links)), None)


def _escapes(path: str, links: Mapping[str, str]) -> bool:
    here = path.split("/")[:-1]
    ahead = links[path].split("/")[::-1]
    hops = 1
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is not None:
            hops += 1
            if hops > _MOST_HOPS:
                return True
            here.pop()
            ahead += target.split("/")[::-1]
    return False
