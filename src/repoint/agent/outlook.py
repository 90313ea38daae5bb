"""All that people are told of a product: how it stands, what is to come, and what restarts.

Cheap to import and to call: the page, ``status`` and the notification ask it at every look.
"""

from __future__ import annotations

import contextlib
import time

import msgspec

from repoint.agent.conditions import Conditions, read_conditions
from repoint.agent.memory import Memory, remembered
from repoint.agent.plan import Plan, Ready, Waiting, plan
from repoint.device.affected import Affected, affected_by_offer, affected_now
from repoint.device.census import census_of
from repoint.device.decided import Decided, decide
from repoint.device.device import Device
from repoint.device.errors import StoreDamagedError
from repoint.device.policy import Policy
from repoint.device.processes import Census
from repoint.device.records import Generation
from repoint.device.status import Status, read_status
from repoint.device.store import ProductStore
from repoint.model.records import Improvement, Offer, RestartScope
from repoint.model.version import parse_label

_SPARE = 32 << 20
"""Bytes that an installation leaves free (see ``repoint.device.installing``)."""


class Outlook(msgspec.Struct, frozen=True):
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
    decided: Decided
    plan: Plan
    installing: tuple[Affected, ...]
    activating: tuple[Affected, ...]
    restarts_by_itself: bool = False
    attended: bool = True


class Report(Status, frozen=True):
    """What ``repoint status --json`` prints: the status, and what is to come.

    Attributes:
        decided: What counts of settings and policy, and who decided it.
        plan: When what happens by itself.
        restarts: What has to restart, for what is staged or still runs replaced code, or else for
            what is available.
    """

    decided: Decided
    plan: Plan
    restarts: tuple[Affected, ...]


def report(outlook: Outlook) -> Report:
    """Put it in one record."""
    status = {name: getattr(outlook.status, name) for name in Status.__struct_fields__}
    restarts = outlook.activating or outlook.installing
    return Report(**status, decided=outlook.decided, plan=outlook.plan, restarts=restarts)


def look_ahead(
    device: Device,
    name: str | None,
    *,
    now: int | None = None,
    conditions: Conditions | None = None,
    memory: Memory | None = None,
    census: Census | None = None,
) -> Outlook:
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
    memory = (remembered(product) if memory is None else memory).at(now)
    policy = device.policy()
    # Another command may collect a generation between two of our looks; then look again.
    for _ in range(3):
        with contextlib.suppress(StoreDamagedError):
            return _look(product, now, conditions, memory, policy, census)
        time.sleep(0.05)
    return _look(product, now, conditions, memory, policy, census)


def announcement(outlook: Outlook) -> str:
    """What a restart that comes by itself is about; the same text as long as it is the same."""
    if not outlook.activating:
        return ""
    return f"{outlook.status.staged or outlook.status.in_force} in force"


def _look(
    product: ProductStore,
    now: int,
    conditions: Conditions | None,
    memory: Memory,
    policy: Policy,
    census: Census | None,
) -> Outlook:
    census = census or census_of(product.store)
    status = read_status(product, census=census)
    decided = decide(product.settings(), policy)
    improvement = _available(product, status)
    installing = affected_by_offer(product, improvement, census) if improvement else ()
    # Where an improvement was removed, programs that still have it are in no danger.
    pending = product.staged() is not None or status.exposed
    activating = affected_now(product, census) if pending else ()
    waiting = _waiting(product, improvement, memory)
    if conditions is None:
        # They hold back what could be installed, and nothing else; to ask for them takes time.
        conditions = read_conditions(product.store.path) if waiting else Conditions()
    rules = policy.rules
    by_itself = rules.window is not None or rules.deadline_days is not None
    attended = memory.is_attended(now)
    outlook = Outlook(status, decided, Plan(), installing, activating, by_itself, attended)
    return msgspec.structs.replace(
        outlook,
        plan=plan(
            waiting,
            _ready(product, outlook, census, memory),
            automatic=decided.automatic,
            policy=policy,
            conditions=conditions,
            now=now,
            attended=attended,
        ),
    )


def _available(product: ProductStore, status: Status) -> Improvement | None:
    if status.available is None:
        return None
    _, letter = parse_label(status.available.label)
    return product.known_improvement(letter)


def _offer(product: ProductStore, letter: str) -> Offer | None:
    catalog = product.catalog()
    return catalog.offer(product.enrolment().baseline, letter) if catalog is not None else None


def _waiting(
    product: ProductStore, improvement: Improvement | None, memory: Memory
) -> Waiting | None:
    offer = _offer(product, improvement.letter) if improvement is not None else None
    if improvement is None or offer is None:
        return None
    mark = product.mark(Generation.of(improvement.baseline, improvement.letter))
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


def _ready(product: ProductStore, outlook: Outlook, census: Census, memory: Memory) -> Ready | None:
    from repoint.device.activating import blocking

    staged, active = product.staged(), product.active()
    if not outlook.activating and staged is None:
        return None
    target = staged or active
    offer = _offer(product, target.letter) if target is not None and target.letter else None
    # Where nothing of a service runs, its next start is as good as a restart. Of the session and
    # the system, processes do not tell all.
    scopes: set[RestartScope] = {
        thing.scope if thing.pids or thing.scope in ("session", "system") else "none"
        for thing in outlook.activating
    }
    return Ready(
        started=memory.started(offer) if offer is not None else None,
        scopes=scopes,
        in_the_way=bool(blocking(product, census)),
        staged=staged is not None,
        told=memory.told.get(announcement(outlook)),
    )
