"""A round: check, decide, download, prepare, stage, activate what can be, tell, and end.

Nothing stays in memory between rounds. What a round finds on disk is all that it goes on from, so
that one which was cut off is simply made up for by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from repoint.agent import restart
from repoint.agent.agent_state import AgentState, read_agent_state, write_agent_state
from repoint.agent.overview import Overview, announcement, read_overview
from repoint.device.device import Device
from repoint.device.errors import (
    NotApplicableError,
    NothingToDoError,
    PolicyForbidsError,
    StillRunningError,
    StoreBusyError,
)
from repoint.device.os_errors import explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.store_lock import opened_lock
from repoint.host import logind
from repoint.host.conditions import Conditions, read_conditions
from repoint.host.processes import Census
from repoint.model.errors import RepointError
from repoint.model.version import has_letter, parse_label

CHECK_EVERY = 4 * 3600
"""Seconds between two questions to the repository, where a timer starts the rounds."""

_SLACK = 600
"""Seconds that a timer may be early."""


class UpdateRunActiveError(RepointError):
    """Another round is under way; there is no need for a second one."""


@dataclass
class UpdateRun:
    """What a round did for one product.

    Attributes:
        state: The product.
        outlook: How it stands at the end.
        checked: Whether the repository was asked.
        installed: The label of what was staged; empty for nothing.
        activated: The label of what was brought into force; empty for nothing.
        announced: A restart of the session or the machine that was announced.
        handed_over: Whether activating and telling was left to somebody else.
        errors: What went wrong; the next round tries again.
    """

    product: str
    outlook: Overview | None = None
    checked: bool = False
    installed: str = ""
    activated: str = ""
    announced: restart.Announced | None = None
    handed_over: bool = False
    errors: list[RepointError] = field(default_factory=list)


@dataclass(frozen=True)
class Agent:
    """What runs rounds.

    Attributes:
        device: The device.
        clock: Gives seconds since 1970.
        chance: Where jitter comes from.
        conditions: Looks at the device's condition.
        if_due: Whether the repository is only asked where that is due, as for a timer.
        hand_over: Called where there may be something to activate or to tell, in the place of
            doing it here, without the rights for it: processes are not looked at then.
    """

    device: Device
    clock: Callable[[], float]
    chance: random.Random
    conditions: Callable[[Path], Conditions] = read_conditions
    if_due: bool = False
    hand_over: Callable[[], None] | None = None

    def rounds(self, product: str | None = None) -> Iterator[UpdateRun]:
        """Make a round for each enrolled product, or for one.

        Raises:
            RoundRunningError: Another round is under way.
        """
        store = self.device.store
        with update_run_lock(store.path):
            for place in store.enrolled() if product is None else [store.one(product)]:
                yield self._round(place)

    def activations(self, product: str | None = None) -> Iterator[UpdateRun]:
        """Only bring into force what is due, without asking the repository.

        Raises:
            RoundRunningError: Another round is under way.
        """
        store = self.device.store
        with update_run_lock(store.path):
            self.device.tidy()
            for place in store.enrolled() if product is None else [store.one(product)]:
                made = UpdateRun(place.name)
                memory = read_agent_state(place).at(self._now())
                conditions = self.conditions(store.path)
                self._look(made, memory, conditions)
                self._finish(made, place, memory, conditions)
                yield made

    def trials(self) -> Iterator[UpdateRun]:
        """Wait for what is on trial until it is confirmed or taken back."""
        for product, failure in self.device.watch().items():
            made = UpdateRun(product)
            memory = read_agent_state(self.device.store.product(product)).at(self._now())
            self._look(made, memory, self.conditions(self.device.store.path))
            if failure is not None:
                made.errors.append(failure)
            elif made.outlook is not None:
                made.activated = made.outlook.status.in_force
            yield made

    def _round(self, state: ProductState) -> UpdateRun:
        made = UpdateRun(state.name)
        memory = msgspec.structs.replace(read_agent_state(state).at(self._now()), round=self._now())
        if not self.if_due:
            memory = msgspec.structs.replace(memory, retry=0)
        if self._is_due(state, memory):
            memory = self._check(made, state, memory)
        memory = memory.with_seen(_offered(state), self._now())
        conditions = self.conditions(self.device.store.path)
        self._look(made, memory, conditions)
        if not made.errors:
            memory = self._install(made, memory, conditions)
        if made.checked and not made.errors:
            memory = memory.with_success()
        if self.hand_over is None:
            self._finish(made, state, memory, conditions)
            return made
        _write_down(state, memory)
        if _may_have_something_to_do(made):
            made.handed_over = True
            try:
                self.hand_over()
            except RepointError as error:
                made.errors.append(error)
        return made

    def _finish(
        self, made: UpdateRun, state: ProductState, memory: AgentState, conditions: Conditions
    ) -> None:
        """Activate what is due, and note that people are told of what is not."""
        self._activate(made, memory, conditions)
        if made.outlook is not None:
            told = memory.with_told(announcement(made.outlook), self._now())
            if told != memory:
                memory = told
                self._look(made, memory, conditions)
        _write_down(state, memory)

    def _is_due(self, state: ProductState, memory: AgentState) -> bool:
        last = state.documents.last_check()
        now = self._now()
        if not self.if_due or last is None or last.when > now:
            return True  # also where the clock was set back: nobody knows how long ago that was
        if memory.retry:
            return memory.retry <= now
        return last.when + CHECK_EVERY - _SLACK <= now

    def _check(self, made: UpdateRun, state: ProductState, memory: AgentState) -> AgentState:
        made.checked = True
        try:
            self.device.check(state.name)
        except (StoreBusyError, PolicyForbidsError) as error:
            made.errors.append(error)
        except RepointError as error:
            made.errors.append(error)
            return memory.with_failure(self._now(), self.chance)
        return memory

    def _install(self, made: UpdateRun, memory: AgentState, conditions: Conditions) -> AgentState:
        outlook = made.outlook
        step = outlook.plan.install if outlook is not None else None
        if outlook is None or outlook.status.available is None or step is None:
            return memory
        if not step.is_due(self._now()):
            return memory
        label = outlook.status.available.label
        try:
            staged = self.device.install(made.product, user_initiated=False)
        except NothingToDoError:
            return memory
        except (StoreBusyError, PolicyForbidsError) as error:
            made.errors.append(error)
            return memory
        except RepointError as error:
            made.errors.append(error)
            if isinstance(error, NotApplicableError):
                memory = memory.with_unfit(parse_label(label)[1])
            else:
                memory = memory.with_failure(self._now(), self.chance)
        else:
            made.installed = staged.improvement.label
        self._look(made, memory, conditions)
        if made.outlook is not None and made.outlook.status.in_force == made.installed:
            made.activated = made.installed  # what needs no restart is in force at once
        return memory

    def _activate(self, made: UpdateRun, memory: AgentState, conditions: Conditions) -> None:
        outlook = made.outlook
        step = outlook.plan.activate if outlook is not None else None
        if outlook is None or step is None or not step.is_due(self._now()):
            return
        label = outlook.status.staged or outlook.status.in_force
        try:
            if step.reason == "now":
                self.device.activate(made.product)
                made.activated = label
            elif logind.scheduled_restart() is None:
                done = restart.restart(
                    self.device,
                    made.product,
                    seconds=restart.UNATTENDED_COUNTDOWN,
                    by_itself=True,
                )
                if isinstance(done, restart.Announced):
                    made.announced = done
                else:
                    made.activated = label
        except NothingToDoError:
            pass  # somebody was faster
        except StillRunningError as error:
            # Something has started meanwhile, or does not close: a person has the last word.
            if step.reason != "now":
                made.errors.append(error)
        except RepointError as error:
            made.errors.append(error)
        self._look(made, memory, conditions)

    def _look(self, made: UpdateRun, memory: AgentState, conditions: Conditions) -> None:
        try:
            made.outlook = read_overview(
                self.device,
                made.product,
                now=self._now(),
                conditions=conditions,
                memory=memory,
                census=None if self.hand_over is None else Census((), 0),
            )
        except RepointError as error:
            made.outlook = None
            made.errors.append(error)

    def _now(self) -> int:
        return int(self.clock())


@contextlib.contextmanager
def update_run_lock(store: Path) -> Iterator[None]:
    """Let one round at a time run. The kernel lets go of it when the process ends.

    Raises:
        RoundRunningError: Another one is under way.
        CannotWriteError: The person may not change the store.
    """
    with opened_lock(store, "agent.lock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpdateRunActiveError(
                "Another round is under way", hint="There is nothing to do; it sees to all"
            ) from None
        yield


def _may_have_something_to_do(made: UpdateRun) -> bool:
    """Whether there is an improvement on its way, or programs may have to restart by policy."""
    outlook = made.outlook
    if outlook is None:
        return False
    status = outlook.status
    under_way = status.available is not None or bool(status.staged) or status.on_trial
    return under_way or (outlook.restarts_by_itself and has_letter(status.in_force))


def _write_down(state: ProductState, memory: AgentState) -> None:
    with contextlib.suppress(FileNotFoundError), explained("write down what was done"):
        write_agent_state(state, memory)  # it may have been taken out meanwhile


def _offered(state: ProductState) -> list[str]:
    catalog = state.documents.catalog()
    if catalog is None:
        return []
    return [o.letter for o in catalog.offers_for(state.documents.enrolment().baseline)]
