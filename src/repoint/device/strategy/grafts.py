"""Graft points: where components stand on the device, and the links that stand there instead."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.store.store import Store
from repoint.fs.durable import sync
from repoint.fs.exchange import exchange
from repoint.model.tree import Entry
from repoint.tree.scan import ALWAYS_IGNORED, WRITTEN_BY_INSTALLERS, is_ignored


def resolve_graft(path: Path, store: Store) -> Path:
    """The graft point that a person means: its parents resolved, its own name as it is.

    Raises:
        EnrolmentRefusedError: Nothing stands there, or it cannot be a graft point.
    """
    place = Path(os.path.realpath(path.parent)) / path.name
    if not path.name or path.name in (".", ".."):
        place = Path(os.path.realpath(path))
    if not os.path.lexists(place):
        raise EnrolmentRefusedError(
            f"Nothing stands at {place}", hint="Install the product first, then enrol it"
        )
    if place.is_relative_to(os.path.realpath(store.path)) or store.path.is_relative_to(place):
        raise EnrolmentRefusedError(
            f"{place} and the store {store.path} lie in each other",
            hint="Name the folder in which the component stands, and a store outside of it",
        )
    return place


def graft_target(state: ProductState, component: str) -> Path:
    """What the link at a component's graft point points to."""
    return state.links.active_path / component


def is_grafted(state: ProductState, graft: GraftPoint) -> bool:
    """Whether our link stands at the graft point."""
    path = Path(graft.path)
    return path.is_symlink() and path.readlink() == graft_target(state, graft.component)


def prepare_graft(state: ProductState, graft: GraftPoint) -> None:
    """Put the link beside the graft point. Shows that we may write there; changes nothing yet."""
    beside = _new(graft)
    beside.unlink(missing_ok=True)
    beside.symlink_to(graft_target(state, graft.component))


def is_prepared(graft: GraftPoint) -> bool:
    """Whether the link is beside the graft point."""
    return _new(graft).is_symlink()


def forget_graft(graft: GraftPoint) -> None:
    """Take away the link beside the graft point."""
    _new(graft).unlink(missing_ok=True)


def graft(state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
    """Put the link in the place of the tree that stands at the graft point.

    The commit point is one exchange of the two names. The tree that stood there is removed
    afterwards; the store holds it. What else stood there and may be somebody's, such as a log or
    a settings file that the vendor lets programs write, is kept beside.

    Args:
        state: The product.
        point: The graft point.
        entries: What the tree holds that the store has.

    Returns:
        Where the rest is kept, if there is any.

    Raises:
        OSError: The file system cannot exchange two names, or we may not write there.
    """
    path = Path(point.path)
    if not is_grafted(state, point):
        if not _new(point).is_symlink():
            prepare_graft(state, point)
        exchange(_new(point), path)
        sync(path.parent)
    old = _new(point)
    if old.is_symlink() or not old.is_dir():
        old.unlink(missing_ok=True)
        return None
    if not _remove_sealed(old, {entry.path for entry in entries}):
        return None
    numbers = ("", *(f".{n}" for n in range(2, 10_000)))
    kept = (path.with_name(f"{path.name}.before-repoint{number}") for number in numbers)
    place = next(place for place in kept if not os.path.lexists(place))
    old.rename(place)
    return place


def _remove_sealed(root: Path, sealed: set[str]) -> bool:
    """Remove what the store holds or anyone can make again; whether anything is left."""
    left = False
    for folder, folders, files in os.walk(root, topdown=False):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        Path(folder).chmod(Path(folder).stat().st_mode | 0o700)
        for name in (*files, *links):
            path = Path(folder, name)
            inside = str(path.relative_to(root))
            if inside in sealed or is_ignored(inside, (*ALWAYS_IGNORED, *WRITTEN_BY_INSTALLERS)):
                path.unlink()
            else:
                left = True
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()
    return left


def ungraft(point: GraftPoint, tree: Path) -> None:
    """Put a tree in the place of the link at the graft point, by one exchange of the names."""
    path = Path(point.path)
    exchange(tree, path)
    sync(path.parent)
    tree.unlink()
    sync(path.parent)


def adopted_from(point: GraftPoint) -> str:
    """What the kernel calls the folder that stood at the graft point, once it was exchanged."""
    return f"{_new(point)}/"


def _new(point: GraftPoint) -> Path:
    path = Path(point.path)
    return path.with_name(f".{path.name}.repoint")
