"""Installing: download, verify, prepare and stage what a check has found."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.sandbox.child import Confinement, DecodeJob, decode_in_child
from repoint.device.errors import (
    CannotPrepareError,
    NothingToDoError,
    NotTrustedError,
    StoreWriteError,
)
from repoint.device.fetch.client import RepositoryClient
from repoint.device.fetch.progress import Progress
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import HistoryEntry
from repoint.device.store.trees import add_tree, taken_from
from repoint.device.strategy.strategy import check_fits, prepare_layers
from repoint.device.update.candidate import Candidate, CandidateComponent
from repoint.device.update.check import client_for, next_offer
from repoint.device.update.space import space_needed
from repoint.fs.durable import make_folder, sync
from repoint.host.host import Host
from repoint.model.encoding import decode_record
from repoint.model.improvement import Improvement
from repoint.repository import names


@dataclass
class Staged:
    """What was staged, and what it took.

    Attributes:
        improvement: The improvement.
        downloaded: Bytes of the patches.
        seconds: How long each step took.
        unguarded: What of the decoder's confinement this kernel does not offer; empty for nothing.
    """

    improvement: Improvement
    downloaded: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    unguarded: tuple[str, ...] = ()


def install(
    state: ProductState,
    host: Host,
    *,
    user_initiated: bool,
    now: int,
    progress: Progress | None = None,
) -> Staged:
    """Bring the next improvement to where it waits for its activation.

    The commit point is one rename, of the link that says what is staged.

    Args:
        state: The product; the store must be locked, and a check must have been made.
        host: The machine.
        user_initiated: Whether a person asks, rather than the timer.
        now: Seconds since 1970.
        progress: Told how far each step is, with a total of 0 while that is not known; an exception
            from it cancels the installation.

    Raises:
        NothingToDoError: There is nothing to install.
        RepointError: It cannot be had, is not what was signed, or there is no room for it.
    """
    offer = next_offer(state, user_initiated=user_initiated)
    active = state.links.active()
    assert active is not None  # noqa: S101  # next_offer refuses otherwise
    baseline = state.generations.baseline(active)
    candidate = Candidate(baseline, offer)
    # What says what to download can stall as well, and be given up.
    client = client_for(state, progress and (lambda: progress("download", 0, 0)))
    improvement = state.documents.known_improvement(offer.letter)
    if improvement is None:
        path = names.improvement_path(state.name, baseline.name, offer.letter)
        improvement = decode_record(client.read(path), Improvement, path)
    candidate.describe(improvement)
    components = {component.name: component for component in baseline.components}
    check_fits(state.documents.enrolment(), components, improvement)
    if state.links.staged() == candidate.generation:
        raise NothingToDoError(
            f"{offer.label} is staged already; `repoint restart` brings it into force"
        )
    staged = Staged(improvement)
    _require_space(state, improvement)
    with explained(f"prepare {offer.label}"):
        for name, part in candidate.parts.items():
            started = time.monotonic()
            patch = None
            if part.improved.patch_size and not state.store.tree(part.improved.seal).is_dir():
                path = names.patch_path(state.name, baseline.name, offer.letter, name)
                patch = _fetch(client, path, candidate, name, progress)
                staged.downloaded += part.improved.patch_size
            fetched = time.monotonic()
            seal, confinement = _prepare(
                state, candidate, part, patch, modified=improvement.created, progress=progress
            )
            staged.unguarded = missing_of(confinement) or staged.unguarded
            candidate.prepared(name, seal)
            _add(staged.seconds, "download", fetched - started)
            _add(staged.seconds, "prepare", time.monotonic() - fetched)
        # The trees stand; what they were made of is not needed even if we are cut off here.
        if state.downloads.is_dir():
            shutil.rmtree(state.downloads)
            sync(state.path)
        started = time.monotonic()
        state.generations.add(
            candidate.generation, candidate.trees(), {"improvement.json": improvement}
        )
        prepare_layers(state, host, candidate.generation)
    with explained(f"stage {offer.label}", COMPLETED_NEXT):
        # A person who asks for what was removed has thought better of it.
        state.marks.clear(candidate.generation)
        state.links.point_staged(candidate.generation)
        _add(staged.seconds, "stage", time.monotonic() - started)
        state.history.add(HistoryEntry(now, "staged", offer.label, improvement.title))
    return staged


def _fetch(
    client: RepositoryClient,
    path: str,
    candidate: Candidate,
    name: str,
    progress: Progress | None,
) -> Path:
    size = candidate.parts[name].improved.patch_size
    target = client.find_required(path)
    candidate.fetched(name, target.length)
    report = None if progress is None else (lambda done: progress("download", done, size))
    return client.download(target, progress=report)


def _prepare(
    state: ProductState,
    candidate: Candidate,
    part: CandidateComponent,
    patch: Path | None,
    *,
    modified: int,
    progress: Progress | None,
) -> tuple[str, Confinement | None]:
    """Make the files of a patch in a confined child, build the tree, and tell its seal."""
    store = state.store
    component = candidate.baseline.component(part.improved.name)
    assert component is not None  # noqa: S101  # the candidate has refused others
    old = store.tree(component.seal)
    made: dict[str, Path] = {}
    confinement = None
    decoded = store.trees / f".decoding-{part.improved.seal}"
    shutil.rmtree(decoded, ignore_errors=True)
    make_folder(store.trees)
    decoded.mkdir(mode=0o700)
    try:
        if patch is not None:
            jobs = [
                DecodeJob(
                    name=change.entry.path,
                    source=old / change.source if change.source else None,
                    size=change.entry.size,
                    sha256=change.entry.sha256,
                )
                for change in part.needing_content
            ]
            report = (
                None if progress is None else (lambda done, all_: progress("decode", done, all_))
            )
            with _decoding(candidate.offer.label, component.name, patch):
                confinement = decode_in_child(patch, jobs, decoded, progress=report)
            made = {job.name: decoded / str(number) for number, job in enumerate(jobs)}
        taken = taken_from(old, component.entries)
        for change in part.improved.layer.changes:
            if change.source:
                taken[change.entry.path] = old / change.source
        total = sum(entry.size for entry in part.entries)
        seal = add_tree(
            store,
            part.improved.seal,
            part.entries,
            made=made,
            taken=taken,
            modified=modified,
            ignore=part.ignore,
            progress=_summed(progress, total),
        )
        return seal, confinement
    finally:
        shutil.rmtree(decoded, ignore_errors=True)


def missing_of(confinement: Confinement | None) -> tuple[str, ...]:
    """What the kernel did not offer to confine the decoder with."""
    if confinement is None:  # nothing was decoded
        return ()
    offered = {
        "Landlock": confinement.landlock > 0,
        "seccomp": confinement.seccomp,
        "dropping of capabilities": confinement.unprivileged,
    }
    return tuple(name for name, there in offered.items() if not there)


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


def _summed(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done = 0

    def add(size: int) -> None:
        nonlocal done
        done += size
        progress("verify", done, total)

    return add


def _require_space(state: ProductState, improvement: Improvement) -> None:
    needed = space_needed(improvement)
    with explained("look at the disk"):
        free = shutil.disk_usage(state.store.path).free
    if free < needed:
        raise StoreWriteError(
            f"The disk is full: {improvement.label} needs {needed >> 20} MB, "
            f"and {free >> 20} MB are free at {state.store.path}",
            hint="Free some space and try again; nothing was changed",
        )


def _add(seconds: dict[str, float], step: str, more: float) -> None:
    seconds[step] = seconds.get(step, 0.0) + more
