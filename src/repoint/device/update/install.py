"""Installing: download, verify, prepare and stage the improvement that a check has found."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.errors import NoSpaceError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.fetch.network import Network
from repoint.device.fetch.progress import Progress
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.outcomes import Nothing
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.device.store.trees.intact import glance, glance_at
from repoint.device.strategy.strategy import check_fits, prepare_layers
from repoint.device.update.candidate import Candidate
from repoint.device.update.check import client_for, read_improvement
from repoint.device.update.choice import next_offer, refuse_reopening
from repoint.device.update.prepare import prepare_tree
from repoint.device.update.space import space_needed
from repoint.device.update.still_offered import is_still_offered
from repoint.device.update.turn import read_turns
from repoint.fs.durable import sync
from repoint.fs.removal import remove_tree
from repoint.host.host import Host
from repoint.model.catalog import Offer
from repoint.model.improvement import Improvement
from repoint.repository import names


@dataclass
class Staged:
    """A staged improvement, and what the installation took.

    Attributes:
        improvement: The improvement.
        downloaded: The size of the downloaded patches in bytes.
        seconds: The duration of each step.
        unguarded: The protections of the decoder that this kernel does not have.
    """

    improvement: Improvement
    downloaded: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    unguarded: tuple[str, ...] = ()

    def add_seconds(self, step: str, seconds: float) -> None:
        """Add to the duration of a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds


@dataclass(frozen=True)
class InstallRequest:
    """Who asked for an installation, and what they accept.

    Attributes:
        user_initiated: True if a person asked, rather than the timer.
        accepted: Fixes in force that the person accepts to lose, by name.
        enforced: Whether a deadline of the policy has passed: it need not wait for its turn.
        ring: The ring that the policy names; None for the one of the enrolment.
    """

    user_initiated: bool
    accepted: Collection[str] = ()
    enforced: bool = False
    ring: str | None = None

    @property
    def waits_for_turn(self) -> bool:
        """Whether the installation waits until the turn of this device has come."""
        return not (self.user_initiated or self.enforced)


def install(
    state: ProductState,
    host: Host,
    network: Network,
    request: InstallRequest,
    *,
    now: int,
    progress: Progress | None = None,
) -> Staged | Nothing:
    """Stage the next improvement.

    The commit point is one rename, of the link that says what is staged.

    Args:
        state: The product; the store must be locked, and the repository must have been checked.
        host: The machine.
        network: How this device reaches repositories.
        request: Who asked, and what they accept.
        now: Seconds since 1970.
        progress: Called as the installation progresses.

    Returns:
        What was staged, or why there is nothing to install.

    Raises:
        RepointError: The improvement cannot be downloaded, is not what was signed, does not fit
            this device, or there is no space for it.
    """
    offer = wanted_offer(state, request, now)
    if isinstance(offer, Nothing):
        return offer
    # A download of the improvement's record can stall and be cancelled as well.
    client = client_for(state, network, progress and (lambda: progress("download", 0, 0)))
    enrolment = state.documents.enrolment()
    baseline = state.generations.baseline(Generation.of(enrolment.baseline))
    improvement = state.documents.known_improvement(offer.letter)
    if improvement is None:
        improvement = read_improvement(state, client, offer.letter)
    candidate = Candidate(baseline, offer)
    candidate.describe(improvement)
    components = {component.name: component for component in baseline.components}
    check_fits(enrolment, host, components, improvement)
    # What was changed since it was staged is prepared again.
    if state.links.staged() == candidate.generation and not glance(state, candidate.generation):
        message = (
            f"{offer.label} is staged already; {state.command('restart')} brings it into force"
        )
        return Nothing("already staged", message)
    refused = refuse_reopening(state, improvement, request.accepted)
    if refused is not None:
        return refused
    _require_space(state, improvement)
    staged = Staged(improvement)
    with explained(f"prepare {offer.label}"):
        for name in candidate.components:
            _prepare(state, client, candidate, name, staged, progress)
        # The trees are complete. Nothing needs the patches, even if we are interrupted here.
        if state.downloads.is_dir():
            remove_tree(state.downloads)
            sync(state.path)
        started = time.monotonic()
        state.generations.add(
            candidate.generation, candidate.seals(), {"improvement.json": improvement}
        )
        prepare_layers(state, host, candidate.generation)
    if not is_still_offered(state, client, offer, now):
        return Nothing(
            "no longer offered",
            f"The vendor has stopped {offer.label} while it was downloaded",
            "See `repoint status`",
        )
    with explained(f"stage {offer.label}", COMPLETED_NEXT):
        # A person who installs a letter that was removed has changed their mind.
        state.marks.clear(candidate.generation)
        state.links.point_staged(candidate.generation)
        staged.add_seconds("stage", time.monotonic() - started)
        state.history.add(HistoryEntry(now, "staged", offer.label, improvement.title))
    return staged


def wanted_offer(state: ProductState, request: InstallRequest, now: int) -> Offer | Nothing:
    """Return the offer that an installation takes, or why there is none."""
    turns = read_turns(state, request.ring, now) if request.waits_for_turn else None
    return next_offer(state, user_initiated=request.user_initiated, turns=turns)


def _prepare(
    state: ProductState,
    client: RepositoryClient,
    candidate: Candidate,
    name: str,
    staged: Staged,
    progress: Progress | None,
) -> None:
    """Download the patch of one component if it is needed, and prepare its tree."""
    component = candidate.components[name]
    started = time.monotonic()
    patch = None
    changed = glance_at(
        state.store, component.improved.seal, component.entries, component.baseline.ignore
    )
    if component.improved.patch_size and changed:
        patch = download_patch(client, candidate, name, progress)
        staged.downloaded += component.improved.patch_size
    downloaded = time.monotonic()
    seal, unguarded = prepare_tree(state.store, staged.improvement, component, patch, progress)
    candidate.accept_tree(name, seal)
    staged.unguarded = unguarded or staged.unguarded
    staged.add_seconds("download", downloaded - started)
    staged.add_seconds("prepare", time.monotonic() - downloaded)


def download_patch(
    client: RepositoryClient, candidate: Candidate, name: str, progress: Progress | None
) -> Path:
    """Download the patch of one component, or resume its download, and verify it."""
    baseline, letter = candidate.baseline, candidate.offer.letter
    path = names.patch_path(baseline.product, baseline.name, letter, name)
    target = client.find_required(path)
    candidate.accept_patch(name, target.length)
    report = None if progress is None else (lambda done: progress("download", done, target.length))
    return client.download(target, progress=report)


def _require_space(state: ProductState, improvement: Improvement) -> None:
    needed = space_needed(improvement)
    with explained("read the free space"):
        free = shutil.disk_usage(state.store.path).free
    if free < needed:
        raise NoSpaceError(
            f"The disk is full: {improvement.label} needs {needed >> 20} MB, "
            f"and {free >> 20} MB are free at {state.store.path}",
            hint="Free some space and try again; nothing was changed",
        )
