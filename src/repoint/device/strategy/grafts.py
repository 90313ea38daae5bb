"""Graft points: the folders of components on the device, and the links that replace them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.store.store import Store
from repoint.fs.durable import sync
from repoint.fs.exchange import exchange
from repoint.fs.folders import Descent, in_batches, located, open_folder
from repoint.fs.walk import walk
from repoint.model.tree import Entry
from repoint.tree.scan import ALWAYS_IGNORED, WRITTEN_BY_INSTALLERS, is_ignored


def resolve_graft(path: Path, store: Store) -> Path:
    """Return the graft point that a person means: its parents resolved, its own name unresolved.

    Raises:
        EnrolmentRefusedError: There is nothing at the path, or it cannot be a graft point.
    """
    resolved = Path(os.path.realpath(path.parent)) / path.name
    if not path.name or path.name in (".", ".."):
        resolved = Path(os.path.realpath(path))
    if not os.path.lexists(resolved):
        raise EnrolmentRefusedError(
            f"There is nothing at {resolved}", hint="Install the product first, then enrol it"
        )
    require_apart(resolved, store)
    return resolved


def require_apart(folder: Path, store: Store) -> None:
    """Refuse a folder that lies in the store, or in which the store lies, by whatever path.

    Folders are compared by device and inode, so that neither links nor bind mounts hide it.

    Raises:
        EnrolmentRefusedError: They overlap.
    """
    place = Path(os.path.realpath(store.path))
    if _is_at_or_above(place, folder) or _is_at_or_above(folder, place):
        raise EnrolmentRefusedError(
            f"{folder} and the store {store.path} overlap",
            hint="Name the folder of the component, and a store outside of it",
        )


def _is_at_or_above(outer: Path, inner: Path) -> bool:
    if inner.is_relative_to(outer):
        return True
    try:
        wanted = outer.stat()
    except OSError:
        return False  # a store that does not exist yet holds nothing
    for folder in (inner, *inner.parents):
        with contextlib.suppress(OSError):
            if os.path.samestat(folder.stat(), wanted):
                return True
    return False


def graft_target(state: ProductState, component: str) -> Path:
    """Return the target of the link at a component's graft point."""
    return state.links.active_path / component


def is_grafted(state: ProductState, graft: GraftPoint) -> bool:
    """Return whether the link is at the graft point."""
    path = Path(graft.path)
    return path.is_symlink() and path.readlink() == graft_target(state, graft.component)


def prepare_graft(state: ProductState, graft: GraftPoint) -> None:
    """Create the link next to the graft point. Shows that we may write there; changes nothing."""
    link = link_beside(graft)
    link.unlink(missing_ok=True)
    link.symlink_to(graft_target(state, graft.component))


def is_prepared(graft: GraftPoint) -> bool:
    """Return whether the link is next to the graft point."""
    return link_beside(graft).is_symlink()


def forget_graft(graft: GraftPoint) -> None:
    """Remove the link next to the graft point."""
    link_beside(graft).unlink(missing_ok=True)


def graft(state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
    """Replace the tree at the graft point by the link.

    The commit point is one exchange of the two names. The replaced tree is then removed; the store
    holds it. Other files in it that may be somebody's, such as a log or a settings file that the
    vendor lets programs write, are kept next to the graft point.

    Args:
        state: The product.
        point: The graft point.
        entries: The entries of the tree, which the store holds.

    Returns:
        Where the other files are kept, if there are any.

    Raises:
        OSError: The file system cannot exchange two names, or we may not write there.
    """
    path = Path(point.path)
    if not is_grafted(state, point):
        if not link_beside(point).is_symlink():
            prepare_graft(state, point)
        exchange(link_beside(point), path)
        sync(path.parent)
    old = link_beside(point)
    if old.is_symlink() or not old.is_dir():
        old.unlink(missing_ok=True)
        return None
    if not _remove_sealed(old, {entry.path for entry in entries}):
        return None
    numbers = ("", *(f".{n}" for n in range(2, 10_000)))
    names = (path.with_name(f"{path.name}.before-repoint{number}") for number in numbers)
    kept = next(name for name in names if not os.path.lexists(name))
    old.rename(kept)
    return kept


def _remove_sealed(root: Path, sealed: set[str]) -> bool:
    """Remove what the store holds or programs write again. Return whether anything is left.

    The folder may belong to another account, so names in it can change at any time.
    """
    is_ours = (*ALWAYS_IGNORED, *WRITTEN_BY_INSTALLERS)
    folders, files, is_left = [], [], False
    for found in walk(root):
        if stat.S_ISDIR(found.status.st_mode):
            folders.append(found.path)
        elif found.path in sealed or is_ignored(found.path, is_ours):
            files.append(found.path)
        else:
            is_left = True
    top = open_folder(root)
    try:
        in_batches(files, lambda paths: _remove_files(root, top, paths))
        with Descent(top) as descent:
            for path in reversed(folders):
                above, _, name = path.rpartition("/")
                with located(root, path):
                    folder = descent.open(above)
                    _let_write(folder)
                    with contextlib.suppress(OSError):  # not empty
                        os.rmdir(name, dir_fd=folder)
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        root.rmdir()
    return is_left


def _remove_files(root: Path, top: int, paths: Sequence[str]) -> None:
    writable = None
    with Descent(top) as descent:
        for path in paths:
            above, _, name = path.rpartition("/")
            with located(root, path):
                folder = descent.open(above)
                if above != writable:
                    _let_write(folder)
                    writable = above
                os.unlink(name, dir_fd=folder)


def _let_write(folder: int) -> None:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & 0o700 != 0o700:
        os.fchmod(folder, mode | 0o700)


def ungraft(point: GraftPoint, tree: Path) -> None:
    """Replace the link at the graft point by a tree, by one exchange of the names."""
    path = Path(point.path)
    exchange(tree, path)
    sync(path.parent)
    tree.unlink()
    sync(path.parent)


def adopted_from(point: GraftPoint) -> str:
    """Return the kernel's name of the folder that was at the graft point, once it is exchanged."""
    return f"{link_beside(point)}/"


def link_beside(point: GraftPoint) -> Path:
    """Return where the link is prepared, and where the replaced folder is until it is removed."""
    path = Path(point.path)
    return path.with_name(f".{path.name}.repoint")
