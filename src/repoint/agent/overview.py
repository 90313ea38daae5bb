"""All that people are told of a product: how it stands, what is to come, and what restarts.

Cheap to import and to call: the page, ``status`` and the notification ask it at every look.
"""

from __future__ import annotations

import contextlib
import time

import msgspec

from repoint.agent.agent_state import AgentState, read_agent_state
from repoint.agent.plan import Plan, Ready, Waiting, plan
from repoint.device.device import Device
from repoint.device.errors import StoreDamagedError
from repoint.device.policy.effective_settings import EffectiveSettings, effective_settings
from repoint.device.policy.policy import Policy
from repoint.device.status.affected import Affected, affected_by_offer, affected_now
from repoint.device.status.census import census_of
from repoint.device.status.status import Status, read_status
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.host.conditions import Conditions, read_conditions
from repoint.host.processes import Census
from repoint.model.baseline import RestartScope
from repoint.model.catalog import Offer
from repoint.model.improvement import Improvement
from repoint.model.version import parse_label

_SPARE = 32 << 20
"""Bytes that an installation leaves free (see ``repoint.device.update.install``)."""


class Overview(msgspec.Struct, frozen=True):
    """What is to be said of a product.

    Attributes:
        status: Am I protected?
        decided: What counts of settings and policy, and who decided it.
        plan: When what happens by itself.
        installing: What will have to restart for what is available.
        activating: What has to restart for what is staged, or is still to restart for what is in
            force.
        restarts_by_itself: Whether the policy lets programs restart by themselves.
        attended: Whether anything happens in the background here.
    """

    status: Status
    decided: EffectiveSettings
    plan: Plan
    installing: tuple[Affected, ...]
    activating: tuple[Affected, ...]
    restarts_by_itself: bool = False
    attended: bool = True


class StatusReport(Status, frozen=True):
    """What ``repoint status --json`` prints: the status, and what is to come.

    Attributes:
        decided: What counts of settings and policy, and who decided it.
        plan: When what happens by itself.
        restarts: What has to restart, for what is staged or still runs replaced code, or else for
            what is available.
    """

    decided: EffectiveSettings
    plan: Plan
    restarts: tuple[Affected, ...]


def status_report(outlook: Overview) -> StatusReport:
    """Put it in one record."""
    status = {name: getattr(outlook.status, name) for name in Status.__struct_fields__}
    restarts = outlook.activating or outlook.installing
    return StatusReport(**status, decided=outlook.decided, plan=outlook.plan, restarts=restarts)


def read_overview(
    device: Device,
    name: str | None,
    *,
    now: int | None = None,
    conditions: Conditions | None = None,
    memory: AgentState | None = None,
    census: Census | None = None,
) -> Overview:
    """Look at a product. Changes nothing and takes no lock.

    Args:
        device: The device.
        name: The product; may be left out where only one is enrolled.
        now: Seconds since 1970; by the clock where it is not given.
        conditions: The device's condition, if it was just looked at.
        memory: What the agent remembers, if that is not what is on disk.
        census: The running processes, where they were looked at, or are not to be.
    """
    product = device.store.one(name)
    now = int(time.time()) if now is None else now
    memory = (read_agent_state(product) if memory is None else memory).at(now)
    policy = device.policy()
    # Another command may collect a generation between two of our looks; then look again.
    for _ in range(3):
        with contextlib.suppress(StoreDamagedError):
            return _look(product, now, conditions, memory, policy, census)
        time.sleep(0.05)
    return _look(product, now, conditions, memory, policy, census)


def announcement(outlook: Overview) -> str:
    """What a restart that comes by itself is about; the same text as long as it is the same."""
    if not outlook.activating:
        return ""
    return f"{outlook.status.staged or outlook.status.in_force} in force"


def _look(
    state: ProductState,
    now: int,
    conditions: Conditions | None,
    memory: AgentState,
    policy: Policy,
    census: Census | None,
) -> Overview:
    census = census or census_of(state.store)
    status = read_status(state, census=census)
    decided = effective_settings(state.documents.settings(), policy)
    improvement = _available(state, status)
    installing = affected_by_offer(state, improvement, census) if improvement else ()
    # Where an improvement was removed, programs that still have it are in no danger.
    pending = state.links.staged() is not None or status.exposed
    activating = affected_now(state, census) if pending else ()
    waiting = _waiting(state, improvement, memory)
    if conditions is None:
        # They hold back what could be installed, and nothing else; to ask for them takes time.
        conditions = read_conditions(state.store.path) if waiting else Conditions()
    rules = policy.rules
    by_itself = rules.window is not None or rules.deadline_days is not None
    attended = memory.is_attended(now)
    outlook = Overview(status, decided, Plan(), installing, activating, by_itself, attended)
    return msgspec.structs.replace(
        outlook,
        plan=plan(
            waiting,
            _ready(state, outlook, census, memory),
            automatic=decided.automatic,
            policy=policy,
            conditions=conditions,
            now=now,
            attended=attended,
        ),
    )


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


def _waiting(
    state: ProductState, improvement: Improvement | None, memory: AgentState
) -> Waiting | None:
    offer = _offer(state, improvement.letter) if improvement is not None else None
    if improvement is None or offer is None:
        return None
    mark = state.marks.get(Generation.of(improvement.baseline, improvement.letter))
    kind = mark.kind if mark is not None else ""
    if memory.is_unfit(improvement.letter):
        kind = "failed"
    return Waiting(
        memory.started(offer), offer.urgency, needed_space(improvement), kind, memory.retry
    )


def needed_space(improvement: Improvement) -> int:
    """Bytes that an improvement needs on the store's file system, at the most."""
    made = sum(
        change.entry.size for part in improvement.components for change in part.layer.changes
    )
    return improvement.download_size + made + _SPARE


def _ready(
    state: ProductState, outlook: Overview, census: Census, memory: AgentState
) -> Ready | None:
    from repoint.device.activate.activation import blocking

    staged, active = state.links.staged(), state.links.active()
    if not outlook.activating and staged is None:
        return None
    target = staged or active
    offer = _offer(state, target.letter) if target is not None and target.letter else None
    # Where nothing of a service runs, its next start is as good as a restart. Of the session and
    # the system, processes do not tell all.
    scopes: set[RestartScope] = {
        thing.scope if thing.pids or thing.scope in ("session", "system") else "none"
        for thing in outlook.activating
    }
    return Ready(
        started=memory.started(offer) if offer is not None else None,
        scopes=scopes,
        in_the_way=bool(blocking(state, census)),
        staged=staged is not None,
        told=memory.told.get(announcement(outlook)),
    )
