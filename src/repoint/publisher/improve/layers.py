"""Comparison of a baseline's tree with the fixed one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from repoint.delta.similar import best_sources, plain_name
from repoint.model.tree import Change, Entry, Layer
from repoint.tree.compare import changes_needing_content, make_layer
from repoint.tree.digest import seal_of

_MOST_SOURCES = 4000
"""Old files among which a similar one is looked for; all are read, so this bounds the time."""


@dataclass(frozen=True)
class LayerComparison:
    """A layer, and what changes in words that a person reads.

    Attributes:
        layer: The changed, added and removed paths.
        seal: Seal of the improved tree.
        needing_content: The changes whose content must come from a patch.
        changed: Paths in both trees whose content or permissions differ.
        added: New paths, except the renamed ones.
        renamed: New path to the removed path that it is made from.
        removed: Removed paths that no new path is made from.
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
) -> LayerComparison:
    """Compare the fixed tree with the baseline's, and choose a source for each changed file.

    The source of a file whose path is in both trees is the old file of that path. For a new path
    (wheels name libraries by a digest of their content) it is a file with the same content, or
    else the most similar file.

    Args:
        old: The baseline's tree.
        baseline: Its entries.
        new: The fixed tree.
        improved: Its entries.
    """
    before = {entry.path: entry for entry in baseline}
    after = {entry.path: entry for entry in improved}
    files = {path: entry for path, entry in before.items() if entry.kind == "file"}
    changed = [path for path, e in after.items() if path in before and before[path] != e]
    added = [path for path in after if path not in before]

    sources = {p: p for p in changed if p in files and after[p].kind == "file"}
    same = {entry.sha256: path for path, entry in sorted(files.items(), reverse=True)}
    unmatched = []
    for path in added:
        if after[path].kind != "file":
            continue
        if after[path].sha256 in same and after[path].size:
            sources[path] = same[after[path].sha256]
        else:
            unmatched.append(path)
    if unmatched and files:
        likely = _likely_sources(files, files.keys() - after.keys(), unmatched)
        sources |= best_sources({p: new / p for p in unmatched}, {p: old / p for p in likely})

    layer = make_layer(before.values(), after.values(), sources)
    removed = set(layer.removed)
    renamed = {p: sources[p] for p in added if sources.get(p) in removed}
    return LayerComparison(
        layer=layer,
        seal=seal_of(after.values()),
        needing_content=changes_needing_content(before.values(), layer),
        changed=tuple(changed),
        added=tuple(p for p in added if p not in renamed and after[p].kind != "folder"),
        renamed=renamed,
        removed=tuple(
            p for p in layer.removed
            if p not in set(renamed.values()) and before[p].kind != "folder"
        ),
        full_size=sum(entry.size for entry in after.values()),
    )  # fmt: skip


def _likely_sources(
    files: Mapping[str, Entry], removed: Set[str], added: Iterable[str]
) -> list[str]:
    """Return the old files that new ones may be made from: all, or the likeliest of very many."""
    if len(files) <= _MOST_SOURCES:
        return list(files)
    names = {plain_name(path).rpartition("/")[2] for path in added}
    folders = {path.rpartition("/")[0] for path in added}

    def rank(path: str) -> tuple[bool, bool, bool, int, str]:
        folder, _, name = plain_name(path).rpartition("/")
        return (path not in removed, name not in names, folder not in folders,
                -files[path].size, path)  # fmt: skip

    return sorted(files, key=rank)[:_MOST_SOURCES]
