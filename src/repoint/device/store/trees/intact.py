"""Whether the trees of the store are still what was verified, at the cost of a look.

`trees/` holds the trees, and `verified/` how each of them looked when all of it was read last: see
`tree.look`. A tree without such a record is read as a whole, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from repoint.device.errors import StoreDamagedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.store import Store
from repoint.fs.durable import make_folder, write_durably
from repoint.model.tree import Entry
from repoint.tree.compare import Difference
from repoint.tree.look import differences_at, look_at, touched

Damage = dict[str, tuple[Difference, ...]]
"""How the trees of components differ from what was verified."""

_SAMPLE = 20_000
"""Paths that `status` looks at in one tree, chosen by chance if there are more."""


def record_verified(store: Store, seal: str, entries: Sequence[Entry]) -> None:
    """Record how a tree looks that was just verified."""
    path = _record_of(store, seal)
    make_folder(path.parent)
    write_durably(path, look_at(store.tree(seal), entries))


def forget_verified(store: Store, kept: set[str]) -> None:
    """Remove the records of trees that are gone."""
    folder = store.path / "verified"
    for path in folder.glob("*"):
        if path.name not in kept:
            path.unlink()
    if not kept:
        with contextlib.suppress(OSError):
            folder.rmdir()


def glance(state: ProductState, generation: Generation) -> Damage:
    """Return the components of a generation whose trees were changed, as far as a glance shows.

    Of a large tree, a sample is looked at. What cannot be read counts as unchanged: `examine`,
    which a check calls, reports it.
    """
    found: Damage = {}
    for name, seal, entries, ignore in _trees(state, generation):
        differences = glance_at(state.store, seal, entries, ignore)
        if differences:
            found[name] = differences
    return found


def glance_at(
    store: Store, seal: str, entries: Sequence[Entry], ignore: tuple[str, ...]
) -> tuple[Difference, ...]:
    """Return how one tree was changed, as far as a glance shows: see `glance`."""
    root = store.tree(seal)
    if not root.is_dir():
        return (Difference("", "removed"),)
    with contextlib.suppress(OSError):
        record = _record_of(store, seal).read_bytes()
        number = len(entries) + 1
        only = None
        if number > _SAMPLE:
            import random  # delays the start of `status`, and few trees are that large

            only = random.sample(range(number), _SAMPLE)
        paths = touched(root, entries, record, only=only, inode_times=False)
        return differences_at(root, entries, paths, ignore)
    return ()


def examine(state: ProductState, generation: Generation) -> Damage:
    """Return the components of a generation whose trees were changed.

    Every path is looked at, and what looks touched is read. If it is as it should be, the record is
    brought up to date.

    Raises:
        StoreDamagedError: A tree cannot be read.
    """
    found: Damage = {}
    for name, seal, entries, ignore in _trees(state, generation):
        root = state.store.tree(seal)
        if not root.is_dir():
            found[name] = (Difference("", "removed"),)
            continue
        try:
            paths = touched(root, entries, _read(state.store, seal))
            differences = differences_at(root, entries, paths, ignore)
        except OSError as error:
            raise StoreDamagedError(
                f"{error.filename or root} cannot be read: {error.strerror}",
                hint="Check the disk, then reinstall the product and run `repoint check`",
            ) from error
        if differences:
            found[name] = differences
        elif paths:
            record_verified(state.store, seal, entries)
    return found


def describe_differences(differences: Sequence[Difference]) -> str:
    """Return what was changed in a tree: the first path, and how many more; empty if nothing."""
    if not differences:
        return ""
    if not differences[0].path:
        return "its tree is missing"
    number = len(differences) - 1
    more = f", and {number} more path{'s' if number > 1 else ''}" if number else ""
    return f"{differences[0]}{more}"


def _trees(
    state: ProductState, generation: Generation
) -> list[tuple[str, str, tuple[Entry, ...], tuple[str, ...]]]:
    """Return name, seal, entries and ignored patterns of each component of a generation."""
    baseline = state.generations.baseline(generation)
    seals = state.generations.seals(generation)
    return [
        (c.name, seals[c.name], state.generations.entries(generation, c.name), c.ignore)
        for c in baseline.components
        if c.name in seals
    ]


def _record_of(store: Store, seal: str) -> Path:
    return store.path / "verified" / seal


def _read(store: Store, seal: str) -> bytes:
    try:
        return _record_of(store, seal).read_bytes()
    except FileNotFoundError:
        return b""
