"""The patch of one component: made, and decoded as a device does.

Finished patches are kept until the improvements of a run are complete. They are named by the
content that they are made from, so a run that was interrupted goes on with them, and two baselines
with the same files share one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from repoint import __version__
from repoint.delta.codecs import CODECS
from repoint.delta.container import PatchEntry, read_header
from repoint.delta.sandbox.child import DecodeJob, decode_in_child
from repoint.delta.writer import PatchInput, write_patch
from repoint.fs.durable import make_folder
from repoint.fs.removal import remove_tree
from repoint.model.baseline import Component
from repoint.model.errors import RepointError
from repoint.model.improvement import ImprovedComponent
from repoint.publisher.errors import WrongPatchError
from repoint.publisher.improve.layers import LayerComparison
from repoint.repository.repository import Repository
from repoint.tree.compare import apply_layer, changes_needing_content
from repoint.tree.digest import seal_of

_FOLDER = ".patches"
_PRIVATE = 0o700
"""Unpublished fixes are confidential."""

_SECONDS = 0.2
"""Between two looks at whether the work is still wanted."""


@dataclass(frozen=True)
class TreePair:
    """The baseline's tree of a component and the fixed one."""

    old: Path
    new: Path


@dataclass(frozen=True)
class Work:
    """How patches are made.

    Attributes:
        store: Where finished patches are kept.
        workers: Encoding processes of each patch; None for one per processor.
        progress: Called with the component, the bytes done and the total, also while nothing is
            done. What it raises ends the work.
    """

    store: PatchStore
    workers: int | None
    progress: Callable[[str, int, int], None]


class PatchStore:
    """The finished patches of a product's improvements that are not complete yet."""

    def __init__(self, repository: Repository, product: str) -> None:
        self._folder = repository.path / "drafts" / product / _FOLDER
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def take(self, key: str, patch: Path) -> bool:
        """Put a kept patch at a path of the same file system; return whether there is one."""
        try:
            os.link(self._folder / key, patch)
        except OSError:
            return False
        return True

    def keep(self, key: str, patch: Path) -> None:
        """Keep a patch that is on disk. Without space for its name, it is made again one day."""
        with contextlib.suppress(OSError):
            make_folder(self._folder, mode=_PRIVATE)
            os.link(patch, self._folder / key)

    def drop(self, key: str) -> None:
        """Remove a kept patch, which is damaged."""
        (self._folder / key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all. What cannot be removed is removed by a later run."""
        with contextlib.suppress(OSError):
            remove_tree(self._folder)

    @contextlib.contextmanager
    def alone(self, key: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Serialise the making of a patch: one thread makes it, and the others find it here.

        Args:
            key: The patch.
            waiting: Called every moment while another thread makes it. It may raise.
        """
        lock = self._locks[key]
        while not lock.acquire(timeout=_SECONDS):
            waiting()
        try:
            yield
        finally:
            lock.release()


def make_patch(
    component: Component, comparison: LayerComparison, pair: TreePair, patch: Path, work: Work
) -> tuple[tuple[PatchEntry, ...], Callable[[str], Path]]:
    """Make the patch of a component, or take the one that an earlier run has made.

    Args:
        component: The baseline's component.
        comparison: What changes.
        pair: The trees.
        patch: Where to put it. Nothing is there after the call if no file needs content.
        work: How to make it.

    Returns:
        The files in the patch, and a function that returns the file with the content of a path.

    Raises:
        WrongPatchError: The patch does not give the improved tree.
        DeltaChildError: A file cannot be encoded or decoded on this machine.
        OSError: A file cannot be read or written.
    """
    decoded = patch.parent.with_name(f"decoded-{component.name}")
    if not comparison.needing_content:
        return (), verify_patch(component, comparison, pair.old, patch, decoded)

    def report(done: int, total: int) -> None:
        last[:] = [done, total]
        work.progress(component.name, done, total)

    last = [0, sum(change.entry.size for change in comparison.needing_content)]
    key = _key(component, comparison)
    with work.store.alone(key, lambda: report(*last)):
        if work.store.take(key, patch):
            try:
                entries = read_header(patch).entries
                return entries, verify_patch(component, comparison, pair.old, patch, decoded)
            except RepointError:
                # Damaged, or the machine lacks what decoding needs; that is seen again below.
                work.store.drop(key)
                patch.unlink()
                remove_tree(decoded)
        entries = write_patch(patch, _inputs(comparison, pair), progress=report,
                              workers=work.workers)  # fmt: skip
        contents = verify_patch(component, comparison, pair.old, patch, decoded)
        work.store.keep(key, patch)
    return entries, contents


def _inputs(comparison: LayerComparison, pair: TreePair) -> list[PatchInput]:
    return [
        PatchInput(
            name=change.entry.path,
            new=pair.new / change.entry.path,
            source=change.source,
            old=pair.old / change.source if change.source else None,
        )
        for change in comparison.needing_content
    ]


def _key(component: Component, comparison: LayerComparison) -> str:
    """Name a patch by everything that decides its bytes."""
    old = {entry.path: entry.sha256 for entry in component.entries}
    files = [
        (change.entry.path, change.entry.sha256, change.source, old.get(change.source, ""))
        for change in comparison.needing_content
    ]
    described = msgspec.json.encode((__version__, [codec.name for codec in CODECS], files))
    return hashlib.sha256(described).hexdigest()


def verify_patch(
    component: Component,
    improved: LayerComparison | ImprovedComponent,
    old: Path,
    patch: Path,
    folder: Path,
) -> Callable[[str], Path]:
    """Decode a patch as a device does, so that no device is the first to try it.

    Returns:
        A function that returns the file with the content of a changed path.

    Raises:
        WrongPatchError: The patch does not give the improved tree.
    """
    folder.mkdir()
    layer = improved.layer
    jobs = [
        DecodeJob.for_change(change, old)
        for change in changes_needing_content(component.entries, layer)
    ]
    if jobs:
        # The child checks the digest of every file, and with the layer the digests give the seal.
        decode_in_child(patch, jobs, folder)
    if seal_of(apply_layer(component.entries, layer)) != improved.seal:
        raise WrongPatchError(f"The patch for {component.name} does not give the improved tree")
    files = {change.entry.path: old / change.source for change in layer.changes}
    files |= {job.name: folder / str(number) for number, job in enumerate(jobs)}
    return files.__getitem__
