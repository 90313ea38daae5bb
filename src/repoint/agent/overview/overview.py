"""The overview of one product: its status, what happens next, and what must restart.

The Settings page, ``repoint status``, notifications and journal events all present this record, so
they cannot contradict each other. Reading it is cheap: it takes no lock and changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from typing import Literal

import msgspec

from repoint.agent.agent_state import CHECK_EVERY, AgentState, read_agent_state
from repoint.agent.missed_runs import describe_hindrance
from repoint.agent.overview.about import about_of, icon_of
from repoint.agent.overview.improvements import Improvements, read_improvements
from repoint.agent.plan import (
    ActivationCandidate,
    InstallCandidate,
    Plan,
    Situation,
    plan,
    widest_scope,
)
from repoint.device.device import Device
from repoint.device.errors import StoreDamagedError
from repoint.device.policy.policy import Policy
from repoint.device.policy.preferences import EffectiveSettings, effective_settings
from repoint.device.status.affected import Affected, affected_by_offer, affected_now
from repoint.device.status.census import Census, census_of
from repoint.device.status.fixes import NO_CVE, CveStatus, FixState
from repoint.device.status.pending import blocking
from repoint.device.status.status import Status, read_status
from repoint.device.status.verdict import Verdict
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.device.update.choice import next_offer
from repoint.device.update.space import space_needed
from repoint.device.update.turn import read_turns
from repoint.host.conditions import Conditions
from repoint.host.host import Host
from repoint.model.baseline import About, RestartScope
from repoint.model.catalog import Offer
from repoint.model.improvement import Improvement
from repoint.model.version import parse_label


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that Repoint shows about one product.

    Attributes:
        status: The answer to "am I protected?".
        effective_settings: The settings that count, who decided them, and the permission to remove.
        plan: When the next installation and activation happen automatically.
        improvements: The improvements that are available, staged and in force, with their texts.
        affected_by_offer: What must restart once the available improvement is installed.
        affected_now: What must restart for what is staged, or because it runs replaced code.
        scheduled_restart: When the machine restarts, in seconds since 1970; None if no restart is
            scheduled, or if this product does not need one.
        in_force_since: When the active generation came into force, in seconds since 1970; 0 if
            unknown.
        removal_staged: Whether the baseline is staged: the next restart removes the improvement.
        about: The product's name, vendor and contact for people; empty where not given.
        icon: The product's icon, a PNG; empty if it has none.
        next_check: When background updates check the repository next, in seconds since 1970; None
            if they do not run.
        history: The history, oldest entry first.
        automatic_restarts: Whether the policy restarts programs automatically.
        attended: Whether background updates run on this device.
        hindrance: Why the last update runs could not work; "" if they could.
        option: What names the product on a command line; "" if it is the only one.
    """

    status: Status
    effective_settings: EffectiveSettings
    plan: Plan = Plan()
    improvements: Improvements = Improvements()
    affected_by_offer: tuple[Affected, ...] = ()
    affected_now: tuple[Affected, ...] = ()
    scheduled_restart: int | None = None
    in_force_since: int = 0
    removal_staged: bool = False
    about: About = About()
    icon: bytes = b""
    next_check: int | None = None
    history: tuple[HistoryEntry, ...] = ()
    automatic_restarts: bool = False
    attended: bool = True
    hindrance: str = ""
    option: str = ""

    def command(self, words: str) -> str:
        """Return a command for this product, as a sentence names it."""
        return f"`repoint {words}{self.option}`"

    @property
    def product(self) -> str:
        """The name of the product."""
        return self.status.product

    @property
    def verdict(self) -> Verdict:
        """The answer to "am I protected?" in one word."""
        return self.status.verdict

    @property
    def display_name(self) -> str:
        """The name of the product for people."""
        return self.about.name or self.status.product

    @property
    def fixed_by_offer(self) -> tuple[CveStatus, ...]:
        """What the available improvement fixes here; other letters may fix other things."""
        available = self.improvements.available
        fixes = [item.fix for item in available.fixes] if available is not None else []
        own = {(cve, fix.component) for fix in fixes for cve in fix.cves or (NO_CVE,)}
        return tuple(c for c in self.fixes("not fixed") if (c.cve, c.component) in own)

    def fixes(self, state: FixState) -> tuple[CveStatus, ...]:
        """Return the CVEs in a state."""
        return tuple(cve for cve in self.status.cves if cve.state == state)

    @property
    def pending_label(self) -> str:
        """The label that a restart brings into force, or completes: staged, or else active."""
        return self.status.staged or self.status.in_force

    @property
    def restart_scope(self) -> RestartScope:
        """The widest restart scope of what is to be activated.

        After a removal, or if programs only run replaced code, the scope is the same as for
        installing the improvement.
        """
        return widest_scope({affected.scope for affected in self.affected_now})

    @property
    def announcement(self) -> str:
        """A key for the restart that people are told about; empty if there is none."""
        return f"{self.pending_label} in force" if self.affected_now else ""


class StatusReport(Status, frozen=True, rename={"effective_settings": "decided"}):
    """What ``repoint status --json`` prints: the status, and what is to come.

    Attributes:
        about: The product's name, vendor and contact for people; empty where not given.
        next_check: When background updates check the repository next; None if they do not run.
        effective_settings: The effective settings and who decided them.
        plan: When the next installation and activation happen automatically.
        restarts: What must restart for what is staged or still runs replaced code, or else for
            what is available.
        hindrance: Why the last update runs could not work; "" if they could.
    """

    about: About
    next_check: int | None
    effective_settings: EffectiveSettings
    plan: Plan
    restarts: tuple[Affected, ...]
    hindrance: str


def status_report(overview: Overview) -> StatusReport:
    """Return the part of an overview that ``repoint status --json`` prints."""
    status = {name: getattr(overview.status, name) for name in Status.__struct_fields__}
    return StatusReport(
        **status,
        about=overview.about,
        next_check=overview.next_check,
        effective_settings=overview.effective_settings,
        plan=overview.plan,
        restarts=overview.affected_now or overview.affected_by_offer,
        hindrance=overview.hindrance,
    )


class Observation(msgspec.Struct, frozen=True):
    """Facts that the caller of `read_overview` has already; None for what it has not.

    Attributes:
        now: Seconds since 1970; else the clock's.
        conditions: The device's conditions.
        agent_state: The agent's state; else the one on disk.
        census: The running processes.
    """

    now: int | None = None
    conditions: Conditions | None = None
    agent_state: AgentState | None = None
    census: Census | None = None


def read_overview(
    device: Device, product: str | None = None, observation: Observation | None = None
) -> Overview:
    """Read the overview of a product. Takes no lock and changes nothing.

    Args:
        device: The device.
        product: The product; None if only one is enrolled.
        observation: Facts that need not be read again.

    Raises:
        RepointError: The product is not enrolled, or its state is damaged.
    """
    state = device.store.one(product)
    observation = observation or Observation()
    if observation.now is None:
        observation = msgspec.structs.replace(observation, now=int(time.time()))
    now = observation.now or 0
    agent_state = observation.agent_state or read_agent_state(state)
    policy = device.preferences.policy()
    # Another command may garbage-collect a generation between two reads; then read again.
    for _ in range(3):
        with contextlib.suppress(StoreDamagedError):
            return _read(state, device.host, policy, agent_state.at(now), observation)
        time.sleep(0.05)
    return _read(state, device.host, policy, agent_state.at(now), observation)


def _read(
    state: ProductState,
    host: Host,
    policy: Policy,
    agent_state: AgentState,
    observation: Observation,
) -> Overview:
    now = observation.now or 0
    census = observation.census or census_of(state.store, host)
    status = read_status(state, host, census=census, now=now)
    staged = state.links.staged()
    settings = effective_settings(state.documents.settings(), policy)
    available = _available(state, status)
    history = tuple(state.history.entries())
    rules = policy.rules
    overview = Overview(
        status=status,
        effective_settings=settings,
        improvements=read_improvements(state, status, available),
        affected_by_offer=(affected_by_offer(state, host, available, census) if available else ()),
        # After a removal, programs that still run the improvement are in no danger.
        affected_now=(
            affected_now(state, host, census) if staged or _runs_old_code(status) else ()
        ),
        in_force_since=_in_force_since(history, status.in_force),
        removal_staged=staged is not None and not staged.letter,
        about=about_of(state),
        icon=icon_of(state),
        next_check=_next_check(status, agent_state, now),
        history=history,
        automatic_restarts=rules.window is not None or rules.deadline_days is not None,
        attended=agent_state.is_attended(now),
        hindrance=describe_hindrance(state.store, agent_state),
        option=state.option,
    )
    installation = _install_candidate(state, status, available, agent_state, rules.ring, now)
    conditions = observation.conditions
    if conditions is None:
        # They only hold back an installation, and reading them takes time.
        conditions = host.conditions.read(state.store.path) if installation else Conditions()
    situation = Situation(
        policy=policy,
        automatic=settings.automatic,
        conditions=conditions,
        now=now,
        attended=overview.attended,
    )
    activation = _activation_candidate(state, overview, census, agent_state)
    return msgspec.structs.replace(
        overview,
        plan=plan(installation, activation, situation),
        scheduled_restart=_scheduled_restart(host, overview.restart_scope),
    )


def _runs_old_code(status: Status) -> bool:
    """Whether a process runs replaced code, or is a program of a component that may."""
    exposed = any(not process.only_reads for process in status.exposed)
    return exposed or any(process.why == "program" for process in status.unknown)


def _scheduled_restart(host: Host, scope: RestartScope) -> int | None:
    # A restart that only the policy demands restarts the machine instead of a session.
    if scope not in ("system", "session"):
        return None
    return host.logind.scheduled_restart()


def _next_check(status: Status, agent_state: AgentState, now: int) -> int | None:
    if not agent_state.is_attended(now):
        return None
    last = status.last_check.when if status.last_check is not None else now
    return max(now, agent_state.retry or last + CHECK_EVERY)


def _in_force_since(history: tuple[HistoryEntry, ...], label: str) -> int:
    for entry in reversed(history):
        if entry.event in ("activated", "enrolled") and entry.label == label:
            return entry.when
    return 0


def _available(state: ProductState, status: Status) -> Improvement | None:
    if status.available is None:
        return None
    _, letter = parse_label(status.available.label)
    return state.documents.known_improvement(letter)


def _offer(state: ProductState, letter: str) -> Offer | None:
    catalog = state.documents.catalog()
    return (
        catalog.offer(state.documents.enrolment().baseline, letter) if catalog is not None else None
    )


def _install_candidate(
    state: ProductState,
    status: Status,
    improvement: Improvement | None,
    agent_state: AgentState,
    ring: str | None,
    now: int,
) -> InstallCandidate | None:
    offer = _offer(state, improvement.letter) if improvement is not None else None
    if improvement is None or offer is None:
        return None
    turns, staged = read_turns(state, ring, now), state.links.staged()
    automatic = next_offer(state, user_initiated=False, turns=turns)
    if (
        isinstance(automatic, Offer)
        and automatic.letter != offer.letter
        and (staged is None or staged.letter != automatic.letter)
    ):
        # The turn of a lower letter has come. A person would get the highest one.
        known = state.documents.known_improvement(automatic.letter)
        return InstallCandidate(
            agent_state.offered_since(automatic, known.created if known is not None else None),
            automatic.urgency,
            space_needed(known) if known is not None else 0,
            retry=agent_state.retry,
        )
    mark = state.marks.get(Generation.of(improvement.baseline, improvement.letter))
    kind: Literal["", "failed", "removed", "reopens"] = mark.kind if mark is not None else ""
    if not kind and status.available is not None and status.available.reopens:
        kind = "reopens"
    if agent_state.is_unfit(improvement.letter):
        kind = "failed"
    return InstallCandidate(
        agent_state.offered_since(offer, improvement.created),
        offer.urgency,
        space_needed(improvement),
        kind,
        agent_state.retry,
        turns.turn(offer),
    )


def _activation_candidate(
    state: ProductState, overview: Overview, census: Census, agent_state: AgentState
) -> ActivationCandidate | None:
    staged, active = state.links.staged(), state.links.active()
    if not overview.affected_now and staged is None:
        return None
    target = staged or active
    offer = _offer(state, target.letter) if target is not None and target.letter else None
    since = None
    if target is not None and offer is not None:
        improvement = state.generations.improvement(target)
        created = improvement.created if improvement is not None else None
        since = agent_state.offered_since(offer, created)
    # If no process of a service runs, an update run may activate as for a program. For the session
    # and the system, the processes do not tell the whole story.
    scopes: set[RestartScope] = {
        affected.scope
        if affected.pids or affected.scope in ("session", "system") or not overview.attended
        else "none"
        for affected in overview.affected_now
    }
    return ActivationCandidate(
        offered_since=since,
        scopes=scopes,
        blocked=bool(blocking(state, census)),
        staged=staged is not None,
        announced=agent_state.announced.get(overview.announcement),
    )
