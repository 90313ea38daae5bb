"""The answer to: am I protected? As records, whose JSON form is documented in ``docs/formats.md``.

Reading the status takes no lock and changes nothing: it reads what is on disk and in ``/proc``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.device.status.census import census_of
from repoint.device.status.exposure import Exposed, find_exposed
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Form, Generation, LastCheck, Mark, UserSettings
from repoint.device.strategy.strategy import layer_form, strategy_of
from repoint.host.host import Host
from repoint.host.processes import Census
from repoint.model.catalog import Offer, Urgency
from repoint.model.improvement import Improvement
from repoint.model.version import Letter

FixState = Literal["in force", "waiting for restart", "not fixed"]


NO_CVE = "no CVE id"
"""Stands where a fix has no CVE id yet."""


class CveStatus(msgspec.Struct, frozen=True):
    """What has become of one CVE here."""

    cve: str
    component: str
    impact: str
    improvement: str
    state: FixState


class ExposedProcess(msgspec.Struct, frozen=True):
    """A process that still runs replaced code. ``files`` are those it has mapped."""

    pid: int
    name: str
    component: str
    runs: str
    files: tuple[str, ...]


class Available(msgspec.Struct, frozen=True):
    """An improvement that could be installed. ``size`` in bytes; ``held_back`` says why not."""

    label: str
    title: str
    size: int
    urgency: Urgency
    held_back: str = ""


class GraftStatus(msgspec.Struct, frozen=True):
    """A component's place on the device, whether programs see there what is active, and how.

    ``layer`` is how a component of the system is merged; empty for others.
    """

    component: str
    path: str
    in_place: bool
    layer: Form = ""


class Status(msgspec.Struct, frozen=True):
    """Everything there is to say of one product.

    Attributes:
        protected: Every known CVE is fixed and in force, no process is exposed, and what stands
            at the graft points is Repoint's.
        in_force: Label of what is active.
        on_trial: Whether what is active is taken back by itself if what uses it does not run.
        staged: Label of what waits for a restart; empty for nothing.
        withdrawn: Why the vendor has withdrawn what is active; empty where it has not.
        unreadable: Processes of others that could not be looked at.
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


def read_status(state: ProductState, host: Host, *, census: Census | None = None) -> Status:
    """Read the status of an enrolled product."""
    enrolment = state.documents.enrolment()
    active, staged = state.links.active(), state.links.staged()
    base = Generation.of(enrolment.baseline)
    running = active or base
    census = census or census_of(state.store, host)
    exposed = find_exposed(state, census)
    offer = _live_offer(state, running)
    in_place = [strategy_of(point, host).is_in_place(state, point) for point in enrolment.grafts]
    form = layer_form(state, host, seen=all(in_place))
    grafts = tuple(
        GraftStatus(point.component, point.path, seen, form if point.strategy == "sysext" else "")
        for point, seen in zip(enrolment.grafts, in_place, strict=True)
    )
    cves = _cves(state, running, staged, exposed)
    return Status(
        product=state.name,
        platform=enrolment.baseline.platform,
        version=enrolment.baseline.version,
        build=enrolment.baseline.build,
        repository=enrolment.repository,
        protected=not exposed
        and all(cve.state == "in force" for cve in cves)
        and all(graft.in_place for graft in grafts),
        in_force=running.label,
        on_trial=not state.generations.is_confirmed(running) and state.trials.current() is not None,
        staged=staged.label if staged is not None else "",
        available=_available(state, running, staged, offer),
        withdrawn=_withdrawn(state, running),
        cves=cves,
        exposed=tuple(
            ExposedProcess(e.use.pid, e.use.name, e.component, e.runs.label, e.replaced)
            for e in exposed
        ),
        unreadable=census.unreadable,
        grafts=grafts,
        settings=state.documents.settings(),
        last_check=state.documents.last_check(),
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


def _available(
    state: ProductState, active: Generation, staged: Generation | None, offer: Offer | None
) -> Available | None:
    if offer is None or (staged is not None and staged.letter == offer.letter):
        return None
    improvement = state.documents.known_improvement(offer.letter)
    mark = state.marks.get(Generation(active.version, active.build, offer.letter))
    return Available(
        offer.label,
        improvement.title if improvement is not None else "",
        improvement.download_size if improvement is not None else 0,
        offer.urgency,
        _held_back(mark),
    )


def _held_back(mark: Mark | None) -> str:
    if mark is None:
        return ""
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


def _cves(
    state: ProductState,
    active: Generation,
    staged: Generation | None,
    exposed: list[Exposed],
) -> tuple[CveStatus, ...]:
    states: dict[tuple[str, str, str], CveStatus] = {}

    def add(improvement: Improvement | None, state: FixState) -> None:
        for lettered in improvement.advisories if improvement is not None else ():
            label = Generation(active.version, active.build, lettered.letter).label
            for fix in lettered.advisory.fixes:
                for cve in fix.cves or (NO_CVE,):
                    said = CveStatus(cve, fix.component, fix.impact, label, state)
                    key = (cve, fix.component, fix.impact if cve == NO_CVE else "")
                    states.setdefault(key, _held(said, lettered.letter, exposed))

    add(state.generations.improvement(active), "in force")
    if staged is not None and staged.letter:
        add(state.generations.improvement(staged), "waiting for restart")
    catalog = state.documents.catalog()
    offers = catalog.offers_for(state.documents.enrolment().baseline) if catalog is not None else []
    for known in reversed(offers):
        add(state.documents.known_improvement(known.letter), "not fixed")
    return tuple(states[key] for key in sorted(states))


def _held(said: CveStatus, letter: str, exposed: list[Exposed]) -> CveStatus:
    """A fix is not in force while a process runs the component from before the fix."""
    for process in exposed:
        runs = process.runs.letter
        old = not runs or Letter(runs) < Letter(letter)
        if said.state == "in force" and process.component == said.component and old:
            return msgspec.structs.replace(said, state="waiting for restart")
    return said
