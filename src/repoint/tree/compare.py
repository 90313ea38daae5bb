"""Comparison of trees by their entries, and application of layers. No disk access."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Change, Entry, Layer
from repoint.tree.links import first_escape


class Difference(NamedTuple):
    """A path in which a tree differs from the expected one, and how."""

    path: str
    how: Literal["added", "removed", "content", "mode", "kind", "target"]

    def __str__(self) -> str:
        descriptions = {
            "added": "is unexpected",
            "removed": "is missing",
            "content": "has different content",
            "mode": "has different permissions",
            "kind": "is of a different type",
            "target": "points elsewhere",
        }
        return f"{self.path} {descriptions[self.how]}"


def compare_trees(old: Iterable[Entry], new: Iterable[Entry]) -> tuple[Difference, ...]:
    """Return how ``new`` differs from the expected ``old``, in path order."""
    before = {entry.path: entry for entry in old}
    after = {entry.path: entry for entry in new}
    differences = []
    for path in sorted(before.keys() | after.keys()):
        a, b = before.get(path), after.get(path)
        if a is None:
            differences.append(Difference(path, "added"))
        elif b is None:
            differences.append(Difference(path, "removed"))
        elif a != b:
            differences.append(Difference(path, _how(a, b)))
    return tuple(differences)


def apply_layer(baseline: Iterable[Entry], layer: Layer) -> tuple[Entry, ...]:
    """Return the entries of the tree that a layer makes of a baseline, in path order.

    Raises:
        InvalidRecordError: The layer does not fit the baseline: it lists a path twice, removes or
            builds on a path that does not exist, or puts a path below one that is not a folder.
    """
    tree = {entry.path: entry for entry in baseline}
    sources = dict(tree)
    for path in layer.removed:
        if tree.pop(path, None) is None:
            raise InvalidRecordError(f"The layer removes {path!r}, which is not in the baseline")
    listed = set(layer.removed)
    for change in layer.changes:
        entry = change.entry
        if entry.path in listed:
            raise InvalidRecordError(f"The layer lists {entry.path!r} twice")
        listed.add(entry.path)
        source = sources.get(change.source)
        if change.source and (source is None or source.kind != "file"):
            raise InvalidRecordError(
                f"The layer builds {entry.path!r} on {change.source!r}, "
                "which is not a file of the baseline"
            )
        tree[entry.path] = entry
    entries = tuple(sorted(tree.values(), key=lambda entry: entry.path.encode()))
    check_entries(entries)
    return entries


def check_entries(entries: Iterable[Entry]) -> None:
    """Refuse entries that do not form a tree.

    Raises:
        InvalidRecordError: A path is listed twice, its parent is not a folder of the tree, or a
            link leads out of the tree through other links.
    """
    entries = tuple(entries)
    folders = {""}
    paths: set[str] = set()
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        if entry.path in paths:
            raise InvalidRecordError(f"The path {entry.path!r} is listed twice in one tree")
        paths.add(entry.path)
        parent = entry.path.rpartition("/")[0]
        if parent not in folders:
            raise InvalidRecordError(f"{entry.path!r} lies below {parent!r}, which is not a folder")
        if entry.kind == "folder":
            folders.add(entry.path)
    escape = first_escape({e.path: e.target for e in entries if e.kind == "link"})
    if escape is not None:
        raise InvalidRecordError(f"The link {escape!r} leads out of the tree through other links")


def make_layer(
    baseline: Iterable[Entry], improved: Iterable[Entry], sources: dict[str, str]
) -> Layer:
    """Return the layer that turns one tree into another.

    Args:
        baseline: The old tree.
        improved: The new tree.
        sources: For a path of the new tree, the old file that its content is made from.
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
    """Return the changes whose content is in no file of the baseline and must come from a patch."""
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
    """Return the changed and new entries, in the order of ``after``."""
    known = {entry.path: entry for entry in before}
    return [entry for entry in after if known.get(entry.path) != entry]


def hidden(before: Iterable[Entry], after: Iterable[Entry]) -> list[Entry]:
    """Return the removed files and links. Folders stay: they may contain files of others."""
    kept = {entry.path for entry in after}
    return [e for e in before if e.path not in kept and e.kind != "folder"]
