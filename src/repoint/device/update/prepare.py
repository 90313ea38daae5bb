"""Preparing one component of an improvement: decode its patch, build its tree, verify its seal."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.sandbox.child import Confinement, DecodeJob, decode_in_child
from repoint.device.errors import CannotPrepareError, NotTrustedError
from repoint.device.fetch.progress import Progress
from repoint.device.store.store import Store
from repoint.device.store.trees.trees import add_tree
from repoint.device.update.candidate import CandidateComponent
from repoint.fs.durable import make_folder
from repoint.fs.removal import remove_tree
from repoint.model.improvement import Improvement
from repoint.tree.build import TreeFiles, files_in


def prepare_tree(
    store: Store,
    improvement: Improvement,
    component: CandidateComponent,
    patch: Path | None,
    progress: Progress | None,
) -> tuple[str, tuple[str, ...]]:
    """Decode a component's patch in a confined child, and add its tree to the store.

    Args:
        store: The store.
        improvement: The improvement.
        component: The component.
        patch: The verified patch; None if no file needs it.
        progress: Called as the files are decoded and verified.

    Returns:
        The seal of the tree; and the protections of the decoder that this kernel does not have.

    Raises:
        NotTrustedError: The patch is not what was signed; it is deleted.
        CannotPrepareError: The decoder could not finish.
    """
    seal = component.improved.seal
    old = store.tree(component.baseline.seal)
    decoded = store.trees / f".decoding-{seal}"
    remove_tree(decoded)
    make_folder(store.trees)
    decoded.mkdir(mode=0o700)
    new: dict[str, Path] = {}
    unguarded: tuple[str, ...] = ()
    try:
        if patch is not None:
            jobs = [DecodeJob.for_change(change, old) for change in component.from_patch]
            report = functools.partial(progress, "decode") if progress is not None else None
            with _decoding(improvement.label, component.improved.name, patch):
                confinement = decode_in_child(patch, jobs, decoded, progress=report)
            unguarded = missing_protections(confinement)
            new = {job.name: decoded / str(number) for number, job in enumerate(jobs)}
        reused = files_in(component.baseline.entries)
        for change in component.improved.layer.changes:
            if change.source:
                reused[change.entry.path] = change.source
        found = add_tree(
            store,
            seal,
            component.entries,
            TreeFiles(new, old, reused, modified=improvement.created),
            ignore=component.baseline.ignore,
            progress=_verified(progress, sum(entry.size for entry in component.entries)),
        )
        return found, unguarded
    finally:
        with contextlib.suppress(OSError):
            remove_tree(decoded)


def missing_protections(confinement: Confinement) -> tuple[str, ...]:
    """Return the protections that this kernel lacks to confine the decoder."""
    available = {
        "Landlock": confinement.landlock > 0,
        "seccomp": confinement.seccomp,
        "dropping of capabilities": confinement.unprivileged,
    }
    return tuple(name for name, is_available in available.items() if not is_available)


@contextlib.contextmanager
def _decoding(label: str, component: str, patch: Path) -> Iterator[None]:
    try:
        yield
    except PatchError as error:
        patch.unlink(missing_ok=True)
        raise NotTrustedError(
            f"The patch for {component} in {label} is not what was signed: {error.message}",
            hint="Nothing was installed; tell the vendor",
        ) from error
    except DeltaChildError as error:
        raise CannotPrepareError(
            f"{label} could not be prepared: {error.message}",
            hint=error.hint or "Nothing was changed; free some space and memory, then try again",
        ) from error


def _verified(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    """Return a callback that adds up the sizes of verified files and reports the sum."""
    if progress is None:
        return None
    done = 0

    def add(size: int) -> None:
        nonlocal done
        done += size
        progress("verify", done, total)

    return add
