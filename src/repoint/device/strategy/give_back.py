"""Giving a component back: a plain folder takes the place of the link, whatever has happened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.store.trees.trees import verify_stored
from repoint.device.strategy.grafts import is_grafted, link_beside, ungraft
from repoint.fs.durable import sync
from repoint.fs.removal import make_writable, remove_tree
from repoint.model.baseline import Component
from repoint.model.tree import Entry
from repoint.tree.build import TreeFiles, build_tree
from repoint.tree.errors import SealMismatchError, UnfitTreeError
from repoint.tree.look import differences_at
from repoint.tree.scan import ALWAYS_IGNORED, scan_tree


class _Tree(NamedTuple):
    """What can be given back: a tree, its entries, and why it is not the baseline's, or ""."""

    root: Path
    entries: tuple[Entry, ...]
    note: str


def give_back(state: ProductState, point: GraftPoint, component: Component | None) -> str:
    """Exchange the link at a graft point for a copy of the baseline's tree.

    If the link is gone, the copy is put there. If something else is there, it stays. If the
    baseline's tree is damaged, the tree that programs see is given back as it is. If there is none,
    the link is removed, as it would lead nowhere.

    Returns:
        What a person should know if the baseline is not there afterwards; or "".
    """
    path = Path(point.path)
    grafted = is_grafted(state, point)
    if not grafted and os.path.lexists(path):
        return f"{path} is not Repoint's link any more, and stays as it is"
    if not path.parent.is_dir():
        return f"{path.parent} is gone, so nothing was put at {path}"
    tree = _tree_to_give(state, point, component)
    if tree is None:
        path.unlink(missing_ok=True)
        sync(path.parent)
        return f"{point.component} is lost: its files are no longer in the store. Reinstall it"
    copy = link_beside(point)
    remove_tree(copy)
    build_tree(copy, tree.entries, TreeFiles.copied_from(tree.root, tree.entries))
    make_writable(copy)
    if grafted:
        ungraft(point, copy)
    else:
        copy.rename(path)
        sync(path.parent)
    return tree.note


def _tree_to_give(
    state: ProductState, point: GraftPoint, component: Component | None
) -> _Tree | None:
    """Return the baseline's tree, or else what programs see, or else what is left of the first."""
    ignore = component.ignore if component is not None else ALWAYS_IGNORED
    reason = "its baseline is not known any more"
    roots = [Path(os.path.realpath(state.links.active_path / point.component))]
    if component is not None:
        root = state.store.tree(component.seal)
        try:
            verify_stored(root, component.entries, component.seal, ignore=ignore)
            return _Tree(root, component.entries, "")
        except SealMismatchError as error:
            reason = str(error.differences[0]) if error.differences else error.message
            roots.append(root)
        except UnfitTreeError as error:
            reason = error.message
            roots.append(root)
        except FileNotFoundError:
            reason = "it is gone"
    for root in roots:
        if root.is_dir() and root.is_relative_to(os.path.realpath(state.store.trees)):
            note = (
                f"{point.component} at {point.path} is not the vendor's baseline ({reason}), and "
            )
            note += "was given back as it is. Reinstall the product"
            return _Tree(root, _entries_of(root, component, ignore), note)
    return None


def _entries_of(
    root: Path, component: Component | None, ignore: tuple[str, ...]
) -> tuple[Entry, ...]:
    """Return what is in a damaged tree, or what is left of it if not all can be copied."""
    try:
        return scan_tree(root, ignore=ignore)
    except UnfitTreeError:
        if component is None:
            raise
        paths = [entry.path for entry in component.entries]
        differences = differences_at(root, component.entries, paths, ignore)
        lost = {d.path for d in differences if d.how in ("removed", "kind", "target")}
        return tuple(entry for entry in component.entries if not _is_at_or_below(entry.path, lost))


def _is_at_or_below(path: str, tops: set[str]) -> bool:
    return path in tops or any(path.startswith(f"{top}/") for top in tops)
