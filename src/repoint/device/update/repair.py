"""Repair: the trees in force that were changed in place are prepared again from the baseline.

Only a person repairs. What has changed a tree may have been a full update that this vendor does not
know, and nobody else can tell whether its files are wanted.
"""

from __future__ import annotations

from collections.abc import Collection

from repoint.device.errors import StillRunningError, StoreDamagedError
from repoint.device.fetch.network import Network
from repoint.device.fetch.progress import Progress
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.outcomes import Nothing
from repoint.device.status.census import census_of
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.device.store.trees.in_force import wake_trees
from repoint.device.store.trees.intact import describe_differences, examine
from repoint.device.strategy.strategy import show_active
from repoint.device.update.candidate import Candidate
from repoint.device.update.check import client_for
from repoint.device.update.install import download_patch
from repoint.device.update.prepare import prepare_tree
from repoint.host.host import Host
from repoint.model.catalog import Offer


def repair(
    state: ProductState,
    host: Host,
    network: Network,
    *,
    now: int,
    progress: Progress | None = None,
) -> list[str] | Nothing:
    """Prepare again the components in force that were changed in place.

    The commit point of each is one exchange of two names; the changed tree is removed.

    Args:
        state: The product; the store must be locked.
        host: The machine.
        network: How this device reaches repositories.
        now: Seconds since 1970.
        progress: Called as the work progresses.

    Returns:
        The components that were repaired, or why there was nothing to do.

    Raises:
        StoreDamagedError: A tree of the baseline was changed, and nothing holds its files.
        StillRunningError: A program runs from a changed tree.
        RepointError: A patch cannot be downloaded, or is not what was signed.
    """
    active = state.links.active()
    damage = examine(state, active) if active is not None else {}
    if active is None or not damage:
        return Nothing("not damaged", f"Nothing of {state.name} was changed", "")
    improvement = state.generations.improvement(active)
    improved = {c.name for c in improvement.components} if improvement is not None else set()
    lost = {**examine(state, active.baseline)}
    lost.update({name: found for name, found in damage.items() if name not in improved})
    for name in damage.keys() & lost.keys():
        raise StoreDamagedError(
            f"The baseline of {name} was changed: {describe_differences(lost[name])}",
            hint=f"Reinstall the product, then run {state.command('check')}",
        )
    assert improvement is not None  # noqa: S101  # a baseline's components are all lost
    _require_unused(state, host, active, damage)
    baseline = state.generations.baseline(active)
    offer = Offer(baseline.name, active.letter, "offered", now)
    candidate = Candidate(baseline, offer)
    candidate.describe(improvement)
    client = client_for(state, network, progress and (lambda: progress("download", 0, 0)))
    with explained(f"repair {active.label}", COMPLETED_NEXT):
        for name in damage:
            component = candidate.components[name]
            patch = None
            if component.improved.patch_size:
                patch = download_patch(client, candidate, name, progress)
            seal, _ = prepare_tree(state.store, improvement, component, patch, progress)
            candidate.accept_tree(name, seal)
        wake_trees(state, active)
        show_active(state, host)
        what = ", ".join(sorted(damage))
        state.history.add(HistoryEntry(now, "repaired", active.label, f"{what} was changed"))
    return sorted(damage)


def _require_unused(
    state: ProductState, host: Host, active: Generation, components: Collection[str]
) -> None:
    """Refuse while a program runs from a tree: it could not load the rest of its files later."""
    seals = state.generations.seals(active)
    changed = {seals[name] for name in components}
    census = census_of(state.store, host)
    uses = [use for use in (*census.uses, *census.suspects) if use.seal in changed and use.counts]
    if uses:
        programs = ", ".join(dict.fromkeys(f"{use.name} ({use.pid})" for use in uses))
        raise StillRunningError(
            f"{active.label} is not repaired, because programs run from it: {programs}",
            hint=f"Close them, then run {state.command('repair')} again",
        )
