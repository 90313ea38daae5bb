"""The status of a product: the answer to "am I protected?".

The JSON form of the records is documented in ``docs/formats.md``. Reading the status takes no lock
and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from repoint.device.status.census import Census, census_of
from repoint.device.status.exposure import Exposure, find_exposed, find_unknown, order
from repoint.device.status.fixes import CveStatus, read_fixes
from repoint.device.status.suspicion import Reason
from repoint.device.status.verdict import Findings, Verdict, verdict_of
from repoint.device.store.fixes import KnownFixes
from repoint.device.store.freshness import is_stale
from repoint.device.store.generations.switch_clock import active_since
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Form, Generation, LastCheck, Mark, UserSettings
from repoint.device.store.trees.intact import describe_differences, glance
from repoint.device.strategy.strategy import strategy_of
from repoint.host.host import Host
from repoint.model.catalog import Offer, Urgency
from repoint.model.reopened import ClaimedFix
from repoint.model.version import Letter


class ExposedProcess(msgspec.Struct, frozen=True):
    """A process that still runs replaced code.

    Attributes:
        pid: The process.
        name: The kernel's name for it.
        component: The component; several are separated by commas.
        runs: The label of the oldest generation that it runs.
        files: The replaced files that it has mapped or open.
        only_reads: True if it is another account's, and only reads files of the component: nothing
            is unprotected because of it.
        contained: True if it is in a container, which a restart does not close.
    """

    pid: int
    name: str
    component: str
    runs: str
    files: tuple[str, ...]
    only_reads: bool = False
    contained: bool = False


class UnknownProcess(msgspec.Struct, frozen=True):
    """A process that may run replaced code, and that cannot be judged.

    Attributes:
        pid: The process.
        name: The kernel's name for it.
        component: The component; several are separated by commas.
        runs: The label of the generation that it may run.
        why: What connects it with the component.
    """

    pid: int
    name: str
    component: str
    runs: str
    why: Reason


class Available(msgspec.Struct, frozen=True):
    """An improvement that can be installed.

    ``size`` is in bytes; ``published`` is when it was offered, in seconds since 1970;
    ``held_back`` says why it is not installed automatically. ``reopens`` are the fixes that are in
    force here and that it does not contain.
    """

    label: str
    title: str
    size: int
    urgency: Urgency
    held_back: str = ""
    published: int = 0
    reopens: tuple[ClaimedFix, ...] = ()


class GraftStatus(msgspec.Struct, frozen=True):
    """A graft point, and whether programs see the active generation there.

    ``layer`` is how a component of the system is merged; empty for others. ``damaged`` says what
    was changed in the tree that is active; empty if nothing was, as far as a glance shows.
    """

    component: str
    path: str
    in_place: bool
    layer: Form = ""
    damaged: str = ""


class Status(msgspec.Struct, frozen=True):
    """The status of one product.

    Attributes:
        protected: True if it is known to be protected now: the verdict is ``protected``.
        verdict: The same in one word, with the cause if it is not, or if it is not known.
        checked: True if a check has succeeded since the baseline was enrolled. Until then nothing
            is known about its fixes.
        in_force: The label of the active generation.
        on_trial: True if the active generation is rolled back unless what uses it runs.
        staged: The label of the staged generation; empty if there is none.
        withdrawn: Why the vendor has withdrawn the active generation; empty if it is offered.
        exposed: The processes that run replaced code.
        unknown: The processes that may run replaced code, and that cannot be judged.
        unreadable: How many processes may run replaced code and could not be inspected.
        hidden: True if processes cannot even be listed.
        stale: True if the metadata has expired, or no check has succeeded for 30 days.
    """

    product: str
    platform: str
    version: str
    build: str
    repository: str
    protected: bool
    in_force: str
    on_trial: bool
    staged: str
    available: Available | None
    withdrawn: str
    cves: tuple[CveStatus, ...]
    exposed: tuple[ExposedProcess, ...]
    unreadable: int
    grafts: tuple[GraftStatus, ...]
    settings: UserSettings
    last_check: LastCheck | None
    checked: bool
    verdict: Verdict
    unknown: tuple[UnknownProcess, ...]
    hidden: bool
    stale: bool


def read_status(
    state: ProductState, host: Host, *, census: Census | None = None, now: int | None = None
) -> Status:
    """Read the status of an enrolled product.

    Args:
        state: The product.
        host: The machine.
        census: The running processes; else they are inspected.
        now: Seconds since 1970; else the clock's.
    """
    enrolment = state.documents.enrolment()
    active, staged = state.links.active(), state.links.staged()
    base = Generation.of(enrolment.baseline)
    running = active or base
    census = census or census_of(state.store, host)
    exposed = find_exposed(state, census)
    offer = _live_offer(state, running)
    grafts = _graft_statuses(state, host, enrolment, running)
    known = KnownFixes(state)
    cves = read_fixes(state, known, exposed)
    unknown = find_unknown(state, census)
    checked = state.documents.catalog() is not None
    stale = is_stale(state, int(time.time()) if now is None else now)
    unreadable = _unreadable(state, census, host) if running.letter else 0
    hidden = census.hidden and bool(running.letter)
    states = {cve.state for cve in cves}
    verdict = verdict_of(
        Findings(
            # What an offer fixes must be known before anybody can say that nothing is missing.
            unchecked=not checked or (offer is not None and not _has_record(state, offer)),
            damaged=any(graft.layer == "damaged" or graft.damaged for graft in grafts),
            replaced=not all(graft.in_place for graft in grafts),
            open="not fixed" in states,
            restart=staged is not None,
            exposed=any(e.use.counts for e in exposed) or "waiting for restart" in states,
            stale=stale,
            unknown=bool(unknown) or unreadable > 0 or hidden,
        )
    )
    return Status(
        product=state.name,
        platform=enrolment.baseline.platform,
        version=enrolment.baseline.version,
        build=enrolment.baseline.build,
        repository=enrolment.repository,
        protected=verdict == "protected",
        in_force=running.label,
        on_trial=not state.generations.is_confirmed(running) and state.trials.current() is not None,
        staged=staged.label if staged is not None else "",
        available=_available(state, known, offer),
        withdrawn=_withdrawn(state, running),
        cves=cves,
        exposed=tuple(_exposed_process(group) for group in _by_process(exposed)),
        unreadable=unreadable,
        grafts=grafts,
        settings=state.documents.settings(),
        last_check=state.documents.last_check(),
        checked=checked,
        verdict=verdict,
        unknown=tuple(_unknown_process(group) for group in _by_process(unknown)),
        hidden=hidden,
        stale=stale,
    )


def _by_process(found: list[Exposure]) -> list[list[Exposure]]:
    """Group what was found by the process: one process may use several components."""
    groups: dict[int, list[Exposure]] = {}
    for exposure in found:
        groups.setdefault(exposure.use.pid, []).append(exposure)
    return list(groups.values())


def _exposed_process(group: list[Exposure]) -> ExposedProcess:
    use = group[0].use
    return ExposedProcess(
        use.pid,
        use.name,
        ", ".join(sorted({exposure.component for exposure in group})),
        min((exposure.runs for exposure in group), key=order).label,
        tuple(file for exposure in group for file in exposure.replaced),
        not any(exposure.use.counts for exposure in group),
        use.contained,
    )


def _unknown_process(group: list[Exposure]) -> UnknownProcess:
    use = group[0].use
    components = ", ".join(sorted({exposure.component for exposure in group}))
    runs = min((exposure.runs for exposure in group), key=order).label
    return UnknownProcess(use.pid, use.name, components, runs, use.why)


def _unreadable(state: ProductState, census: Census, host: Host) -> int:
    """How many processes could not be inspected and were started before the last switch."""
    return sum(started < active_since(state, host.boot) for started in census.unreadable)


def _graft_statuses(
    state: ProductState, host: Host, enrolment: Enrolment, running: Generation
) -> tuple[GraftStatus, ...]:
    strategies = {point.strategy: strategy_of(point, host) for point in enrolment.grafts}
    in_place = {
        point.component: strategies[point.strategy].is_in_place(state, point)
        for point in enrolment.grafts
    }
    all_in_place = all(in_place.values())
    forms = {name: s.form(state, verified=all_in_place) for name, s in strategies.items()}
    damage = glance(state, running)
    return tuple(
        GraftStatus(
            point.component,
            point.path,
            in_place[point.component],
            forms[point.strategy],
            describe_differences(damage.get(point.component, ())),
        )
        for point in enrolment.grafts
    )


def _live_offer(state: ProductState, active: Generation) -> Offer | None:
    catalog = state.documents.catalog()
    if catalog is None:
        return None
    offers = catalog.offers_for(state.documents.enrolment().baseline)
    live = [o for o in offers if o.state == "offered"]
    if not live or (active.letter and Letter(live[-1].letter) <= Letter(active.letter)):
        return None
    return live[-1]


def _available(state: ProductState, known: KnownFixes, offer: Offer | None) -> Available | None:
    staged = state.links.staged()
    if offer is None or (staged is not None and staged.letter == offer.letter):
        return None
    improvement = state.documents.known_improvement(offer.letter)
    if improvement is None:
        return None
    mark = state.marks.get(Generation.of(offer.baseline, offer.letter))
    reopens = known.reopened_by(improvement)
    return Available(
        offer.label,
        improvement.title,
        improvement.download_size,
        offer.urgency,
        _held_back(mark, reopens),
        offer.since,
        reopens,
    )


def _has_record(state: ProductState, offer: Offer) -> bool:
    return state.documents.known_improvement(offer.letter) is not None


def _held_back(mark: Mark | None, reopens: Sequence[ClaimedFix]) -> str:
    if mark is None:
        return "it does not contain fixes that are in force here" if reopens else ""
    if mark.kind == "removed":
        return "removed here" + (f": {mark.why}" if mark.why else "")
    return f"failed here: {mark.why}"


def _withdrawn(state: ProductState, active: Generation) -> str:
    catalog = state.documents.catalog()
    if catalog is None or not active.letter:
        return ""
    offer = catalog.offer(state.documents.enrolment().baseline, active.letter)
    if offer is None or offer.state != "withdrawn":
        return ""
    return offer.reason or "no reason given"
