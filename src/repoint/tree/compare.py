"""Comparing trees by their entries, and laying a layer over one. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Change, Entry, Layer
from repoint.tree.links import first_escape


class Difference(NamedTuple):
    """One path in which a tree differs from another, and how."""

    path: str
    how: Literal["added", "removed", "content", "mode", "kind", "target"]

    def __str__(self) -> str:
        said = {
            "added": "is there but should not be",
            "removed": "is missing",
            "content": "has other content",
            "mode": "has other permissions",
            "kind": "is of another type",
            "target": "points elsewhere",
        }
        return f"{self.path} {said[self.how]}"


def compare_trees(old: Iterable[Entry], new: Iterable[Entry]) -> tuple[Difference, ...]:
    """What must be said of ``new`` by someone who expects ``old``, in path order."""
    before = {entry.path: entry for entry in old}
    after = {entry.path: entry for entry in new}
    found = []
    for path in sorted(before.keys() | after.keys()):
        a, b = before.get(path), after.get(path)
        if a is None:
            found.append(Difference(path, "added"))
        elif b is None:
            found.append(Difference(path, "removed"))
        elif a != b:
            found.append(Difference(path, _how(a, b)))
    return tuple(found)


def apply_layer(baseline: Iterable[Entry], layer: Layer) -> tuple[Entry, ...]:
    """The entries of the tree that a layer makes of a baseline, in path order.

    Raises:
        InvalidRecordError: The layer does not fit the baseline: it names a path twice, removes
            or builds on what is not there, or would put a path below something that is no
            folder.
    """
    tree = {entry.path: entry for entry in baseline}
    sources = dict(tree)
    for path in layer.removed:
        if tree.pop(path, None) is None:
            raise InvalidRecordError(f"The layer removes {path!r}, which is not in the baseline")
    named = set(layer.removed)
    for change in layer.changes:
        entry = change.entry
        if entry.path in named:
            raise InvalidRecordError(f"The layer names {entry.path!r} twice")
        named.add(entry.path)
        source = sources.get(change.source)
        if change.source and (source is None or source.kind != "file"):
            raise InvalidRecordError(
                f"The layer builds {entry.path!r} on {change.source!r}, "
                "which is no file of the baseline"
            )
        tree[entry.path] = entry
    entries = tuple(sorted(tree.values(), key=lambda entry: entry.path.encode()))
    check_entries(entries)
    return entries


def check_entries(entries: Iterable[Entry]) -> None:
    """Refuse entries that cannot all stand in one tree.

    Raises:
        InvalidRecordError: A path stands twice, its parent is not a folder of the tree, or a
            link leads out of the tree by way of others.
    """
    entries = tuple(entries)
    folders = {""}
    seen: set[str] = set()
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        if entry.path in seen:
            raise InvalidRecordError(f"The path {entry.path!r} stands twice in one tree")
        seen.add(entry.path)
        parent = entry.path.rpartition("/")[0]
        if parent not in folders:
            raise InvalidRecordError(f"{entry.path!r} lies below {parent!r}, which is no folder")
        if entry.kind == "folder":
            folders.add(entry.path)
    escape = first_escape({e.path: e.target for e in entries if e.kind == "link"})
    if escape is not None:
        raise InvalidRecordError(f"The link {escape!r} leads out of the tree by way of others")


def make_layer(
    baseline: Iterable[Entry], improved: Iterable[Entry], sources: dict[str, str]
) -> Layer:
    """The layer that turns one tree into another.

    Args:
        baseline: The old tree.
        improved: The new tree.
        sources: For a path of the new tree, the file of the old tree that its content is made
            from.
    """
    before = {entry.path: entry for entry in baseline}
    after = {entry.path: entry for entry in improved}
    changes = tuple(
        Change(entry=entry, source=sources.get(path, ""))
        for path, entry in sorted(after.items())
        if before.get(path) != entry
    )
    return Layer(changes=changes, removed=tuple(sorted(before.keys() - after.keys())))


def changes_needing_content(baseline: Iterable[Entry], layer: Layer) -> tuple[Change, ...]:
    """The changes whose content no file of the baseline holds, and a patch must give."""
    digests = {entry.path: entry.sha256 for entry in baseline if entry.kind == "file"}
    return tuple(
        change
        for change in layer.changes
        if change.entry.kind == "file" and digests.get(change.source) != change.entry.sha256
    )


def _how(a: Entry, b: Entry) -> Literal["content", "mode", "kind", "target"]:
    if a.kind != b.kind:
        return "kind"
    if a.sha256 != b.sha256 or a.size != b.size:
        return "content"
    return "target" if a.target != b.target else "mode"


def changed(before: Iterable[Entry], after: Iterable[Entry]) -> list[Entry]:
    """What is other than before, or new, in the order of ``after``."""
    known = {entry.path: entry for entry in before}
    return [entry for entry in after if known.get(entry.path) != entry]


def hidden(before: Iterable[Entry], after: Iterable[Entry]) -> list[Entry]:
    """Files and links that are gone. Folders stay: they may hold what is somebody else's."""
    kept = {entry.path for entry in after}
    return [e for e in before if e.path not in kept and e.kind != "folder"]
