"""Which trees are in force, and what the others must not have.

A program with set-user-ID or set-group-ID bits works from wherever it lies. So only a tree that is
in force has them; what an improvement has replaced, and what waits for its activation, is *at
rest*: without privileges, and closed to other accounts as soon as nothing runs from it.

The permissions of a tree's own folder say in which state it is. Before its files change, they say
that the privileges are not known, so a change that was interrupted is made again or undone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from repoint.device.store.generations.switch_clock import record_clock
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.store import Store
from repoint.device.store.trees.trees import BARRED, OPEN, STRIPPED, state_of
from repoint.fs.durable import set_mode
from repoint.host.kernel.boot import Boot
from repoint.model.errors import RepointError
from repoint.tree.privileges import Inode, give_privileges, privileged_files, take_privileges

_COMING, _GOING = 0o700, 0o755
"""The permissions of the folder of a tree whose privileges are being given, or taken while
programs still load files from it."""


def put_in_force(state: ProductState, generation: Generation) -> None:
    """Make a generation the active one, and lay to rest what is not in force any more.

    The commit point is one rename, of the active link. Before it, the trees get their privileges.

    Raises:
        OSError: It cannot be made active; what was active is active still.
    """
    wake_trees(state, generation)
    record_clock(state, generation, Boot())
    state.links.point_active(generation)
    # The switch is committed. What fails now, the next command does.
    with contextlib.suppress(OSError):
        rest_trees(state.store)


def wake_trees(state: ProductState, generation: Generation) -> list[str]:
    """Give the trees of a generation what their entries say, and open them to all accounts.

    The content of each file that gets privileges is first compared with the signed digest.

    Returns:
        The files that are damaged, and got no privileges.
    """
    damaged = []
    for component, seal in state.generations.seals(generation).items():
        tree = state.store.tree(seal)
        if tree.is_dir() and state_of(tree) != OPEN:
            set_mode(tree, _COMING)
            entries = state.generations.entries(generation, component)
            damaged += [f"{component}/{path}" for path in give_privileges(tree, entries)]
            set_mode(tree, OPEN)
    return damaged


def rest_trees(store: Store) -> None:
    """Take the privileges from all trees that are not in force. The store must be locked."""
    resting = _resting(store)
    to_strip = [tree for tree in resting if state_of(tree) not in (STRIPPED, BARRED)]
    if not to_strip:
        return
    # Earlier versions hard-linked unchanged files, also those with privileges.
    keep: set[Inode] = set()
    for tree in _trees(store):
        if tree not in resting:
            keep |= privileged_files(tree)
    for tree in to_strip:
        set_mode(tree, _GOING)
        take_privileges(tree, keep=keep)
        set_mode(tree, STRIPPED)


def bar_trees(store: Store, in_use: Callable[[], set[str]]) -> None:
    """Close the trees at rest from which nothing runs to other accounts.

    What was started from a tree before it left force may still load files from it.

    Args:
        store: The store; it must be locked.
        in_use: Returns the seals of the trees that processes run from.
    """
    for tree in _resting(store):
        if state_of(tree) == STRIPPED and tree.name not in in_use():
            set_mode(tree, BARRED)


def _resting(store: Store) -> list[Path]:
    """Return the trees that are not in force; none if the state of a product cannot be read."""
    in_force: set[str] = set()
    for state in store.enrolled():
        try:
            active = state.links.active()
            if active is not None:
                in_force |= set(state.generations.seals(active).values())
        except (OSError, RepointError):
            return []
    return [tree for tree in _trees(store) if tree.name not in in_force]


def _trees(store: Store) -> list[Path]:
    return [tree for tree in store.trees.glob("[!.]*") if tree.is_dir()]
