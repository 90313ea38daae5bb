"""Finding what changed between a baseline's tree and the fixed one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from repoint.delta.similar import best_sources
from repoint.model.tree import Change, Entry, Layer
from repoint.tree.compare import changes_needing_content, make_layer
from repoint.tree.digest import seal_of


@dataclass(frozen=True)
class Layered:
    """A layer, and what it comes to.

    Attributes:
        layer: The changed, added and removed paths.
        seal: Seal of the improved tree.
        needing_content: The changes that a patch must give content for.
        changed: Paths that stay, with other content or permissions.
        added: Paths with nothing like them in the baseline.
        renamed: New path to the old path that went and that it is made from.
        removed: Paths that are gone and that nothing new is made from.
        full_size: Bytes of all files of the improved tree.
    """

    layer: Layer
    seal: str
    needing_content: tuple[Change, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    renamed: dict[str, str]
    removed: tuple[str, ...]
    full_size: int


def layer_between(
    old: Path, baseline: Iterable[Entry], new: Path, improved: Iterable[Entry]
) -> Layered:
    """Compare the fixed tree with the baseline's, and find for each file what to make it from.

    A file that stays where it was is made from itself. For one that is new (wheels name libraries
    by a digest of their content) the same content elsewhere is taken, else the most similar file.

    Args:
        old: Where the baseline's tree stands.
        baseline: Its entries.
        new: Where the fixed tree stands.
        improved: Its entries.
    """
    before = {entry.path: entry for entry in baseline}
    after = {entry.path: entry for entry in improved}
    files = {path: entry for path, entry in before.items() if entry.kind == "file"}
    changed = [path for path, e in after.items() if path in before and before[path] != e]
    fresh = [path for path in after if path not in before]

    sources = {p: p for p in changed if p in files and after[p].kind == "file"}
    same = {entry.sha256: path for path, entry in sorted(files.items(), reverse=True)}
    orphans = []
    for path in fresh:
        if after[path].kind != "file":
            continue
        if after[path].sha256 in same and after[path].size:
            sources[path] = same[after[path].sha256]
        else:
            orphans.append(path)
    if orphans and files:
        sources |= best_sources({p: new / p for p in orphans}, {p: old / p for p in files})

    layer = make_layer(before.values(), after.values(), sources)
    gone = set(layer.removed)
    renamed = {p: sources[p] for p in fresh if sources.get(p) in gone}
    return Layered(
        layer=layer,
        seal=seal_of(after.values()),
        needing_content=changes_needing_content(before.values(), layer),
        changed=tuple(changed),
        added=tuple(p for p in fresh if p not in renamed and after[p].kind != "folder"),
        renamed=renamed,
        removed=tuple(
            p for p in layer.removed
            if p not in set(renamed.values()) and before[p].kind != "folder"
        ),
        full_size=sum(entry.size for entry in after.values()),
    )  # fmt: skip
