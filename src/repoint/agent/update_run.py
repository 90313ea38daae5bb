"""An update run: check, plan, download, verify, stage, activate what can be activated, and end.

Nothing stays in memory between runs. A run continues from what is on disk, so the next run makes
up for one that was interrupted.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from repoint.agent import restart
from repoint.agent.agent_state import CHECK_EVERY, AgentState, read_agent_state, write_agent_state
from repoint.agent.missed_runs import HINDERED, add_missed_run, clear_missed_runs
from repoint.agent.overview.overview import Observation, Overview, read_overview
from repoint.agent.plan import Step
from repoint.agent.reporting import export_status, needs_sight, note_run, send_reports
from repoint.agent.update_run_lock import (
    UpdateRunActiveError,
    UpdateRunStuckError,
    update_run_lock,
)
from repoint.device.device import Device
from repoint.device.errors import (
    NotApplicableError,
    PolicyForbidsError,
    StillRunningError,
    StoreBusyError,
    TryLaterError,
)
from repoint.device.os_errors import Troubles, explained, isolated
from repoint.device.outcomes import Nothing
from repoint.device.status.census import Census
from repoint.device.status.status import Status
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Actor
from repoint.device.update.turn import read_turns
from repoint.host.conditions import Conditions
from repoint.model.errors import RepointError
from repoint.model.version import has_letter, parse_label

_SLACK = 600
"""Seconds that a timer may be early."""


class UnexpectedError(RepointError):
    """A fault of Repoint itself ended the update run of one product."""


@dataclass
class UpdateRun:
    """What an update run did for one product.

    Attributes:
        product: The product.
        overview: The overview at the end; None if it could not be read.
        checked: Whether the repository was checked.
        installed: The label that was staged; empty for none.
        activated: The label that came into force; empty for none.
        announced: The restart of the session or the machine that was announced.
        handed_over: Whether activation and notification were left to another process.
        hindered: How many runs in a row could not work, this one included.
        errors: What failed; the next run tries again.
    """

    product: str
    overview: Overview | None = None
    checked: bool = False
    installed: str = ""
    activated: str = ""
    announced: restart.AnnouncedRestart | None = None
    handed_over: bool = False
    hindered: int = 0
    errors: list[RepointError] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something needs attention; a store that is in use only the second time."""
        if self.hindered >= HINDERED:
            return True
        if any(not isinstance(error, StoreBusyError) for error in self.errors):
            return True
        return self.overview is not None and bool(self.overview.effective_settings.policy_problem)


@dataclass(frozen=True)
class Agent:
    """The agent of a device.

    Attributes:
        device: The device.
        clock: Returns seconds since 1970.
        rng: The source of jitter.
        conditions: Reads the device's conditions; by default those of its host.
        if_due: Whether the repository is checked only when a check is due, as for a timer.
        hand_over: Called instead of activating and notifying when there may be something to
            activate or notify. The process that sets it lacks the rights for it, so the agent
            does not look at processes then.
    """

    device: Device
    clock: Callable[[], float]
    rng: random.Random
    conditions: Callable[[Path], Conditions] | None = None
    if_due: bool = False
    hand_over: Callable[[], None] | None = None

    def run(self, product: str | None = None) -> Iterator[UpdateRun]:
        """Make an update run for each enrolled product, or for one.

        Raises:
            UpdateRunActiveError: Another update run is active.
            UpdateRunStuckError: It was already active when an earlier run could not start.
        """
        store = self.device.store
        try:
            with update_run_lock(store.path):
                clear_missed_runs(store)
                states = self._states(product)
                yield from self._noted(_isolated(state, self._run) for state in states)
        except UpdateRunActiveError:
            missed = add_missed_run(store, self._now())
            if not missed:
                raise
            raise UpdateRunStuckError(
                f"{missed} update runs in a row could not start, because another one is active",
                hint="Find it with `ps -ef | grep repoint`; stop it if it hangs",
            ) from None
        # The update is done, and the next one may begin: no server of reports delays anything.
        send_reports(self.device, [state.name for state in states])

    def activate(self, product: str | None = None) -> Iterator[UpdateRun]:
        """Only bring into force what is due, without checking the repository.

        Raises:
            UpdateRunActiveError: Another update run is active.
        """
        with update_run_lock(self.device.store.path):
            self.device.recover()
            states = self._states(product)
            yield from self._noted(_isolated(state, self._activate_due) for state in states)

    def watch_trials(self) -> Iterator[UpdateRun]:
        """Wait until every letter on trial is confirmed or rolled back."""
        for product, failure in self.device.boot.watch().items():
            run = UpdateRun(product)
            state = self.device.store.product(product)
            agent_state = read_agent_state(state).at(self._now())
            self._read_overview(run, agent_state, self._conditions())
            if failure is not None:
                run.errors.append(failure)
            elif run.overview is not None:
                run.activated = run.overview.status.in_force
            yield run

    def _noted(self, runs: Iterator[UpdateRun]) -> Iterator[UpdateRun]:
        """Note what has happened for those who have asked for it: a fleet, and other programs."""
        seen: dict[str, Status] = {}
        for run in runs:
            if run.overview is not None and self.hand_over is None:
                seen[run.product] = run.overview.status
            note_run(self.device, run.product, seen.get(run.product))
            yield run
        if self.hand_over is None:
            export_status(self.device, seen, now=self._now())

    def _activate_due(self, state: ProductState) -> UpdateRun:
        run = UpdateRun(state.name)
        agent_state = read_agent_state(state).at(self._now())
        conditions = self._conditions()
        self._read_overview(run, agent_state, conditions)
        self._finish(run, state, agent_state, conditions)
        return run

    def _states(self, product: str | None) -> list[ProductState]:
        store = self.device.store
        return store.enrolled() if product is None else [store.one(product)]

    def _run(self, state: ProductState) -> UpdateRun:
        run = UpdateRun(state.name)
        agent_state = read_agent_state(state).at(self._now())
        agent_state = msgspec.structs.replace(agent_state, last_run=self._now())
        if not self.if_due:
            agent_state = msgspec.structs.replace(agent_state, retry=0)
        if self._is_check_due(state, agent_state):
            agent_state = self._check(run, agent_state)
        agent_state = agent_state.with_offered(_offered_letters(state), self._now())
        conditions = self._conditions()
        self._read_overview(run, agent_state, conditions)
        if not run.errors:
            agent_state = self._install(run, agent_state, conditions)
        if run.checked and not run.errors:
            agent_state = agent_state.with_success()
        agent_state = _with_hindrance(run, agent_state)
        if self.hand_over is None:
            self._finish(run, state, agent_state, conditions)
            return run
        _write(state, agent_state)
        if _may_need_activation(run) or needs_sight(self.device, run.product):
            run.handed_over = True
            try:
                self.hand_over()
            except RepointError as error:
                run.errors.append(error)
        return run

    def _finish(
        self, run: UpdateRun, state: ProductState, agent_state: AgentState, conditions: Conditions
    ) -> None:
        """Activate what is due, and record the announcement of what is not."""
        self._activate(run, agent_state, conditions)
        if run.overview is not None:
            announced = agent_state.with_announced(run.overview.announcement, self._now())
            if announced != agent_state:
                agent_state = announced
                self._read_overview(run, agent_state, conditions)
        _write(state, agent_state)

    def _is_check_due(self, state: ProductState, agent_state: AgentState) -> bool:
        last = state.documents.last_check()
        now = self._now()
        if not self.if_due or last is None or last.when > now:
            return True  # if the clock was set back, the age of the last check is unknown
        if agent_state.retry:
            return agent_state.retry <= now
        if last.when + CHECK_EVERY - _SLACK <= now or self._has_turn_come(state, now):
            return True
        return bool(self.device.changed_outside(state.name))

    def _has_turn_come(self, state: ProductState, now: int) -> bool:
        """Return whether the turn of this device in a rollout has come since the last check."""
        catalog = state.documents.catalog()
        if catalog is None:
            return False
        turns = read_turns(state, self.device.preferences.policy().rules.ring, now)
        return turns.came_since_verified(catalog, state.documents.enrolment().baseline)

    def _check(self, run: UpdateRun, agent_state: AgentState) -> AgentState:
        run.checked = True
        try:
            self.device.check(run.product)
        except (StoreBusyError, PolicyForbidsError) as error:
            run.errors.append(error)
        except RepointError as error:
            run.errors.append(error)
            return self._with_failure(agent_state, error)
        return agent_state

    def _with_failure(self, agent_state: AgentState, error: RepointError) -> AgentState:
        after = error.after if isinstance(error, TryLaterError) else 0
        return agent_state.with_failure(self._now(), self.rng, after)

    def _install(
        self, run: UpdateRun, agent_state: AgentState, conditions: Conditions
    ) -> AgentState:
        overview = run.overview
        step = overview.plan.install if overview is not None else None
        if overview is None or overview.status.available is None or step is None:
            return agent_state
        if not step.is_due(self._now()):
            return agent_state
        label = overview.status.available.label
        try:
            staged = self._acting(step).install(
                run.product, user_initiated=False, enforced=step.reason == "deadline"
            )
        except (StoreBusyError, PolicyForbidsError) as error:
            run.errors.append(error)
            return agent_state
        except RepointError as error:
            run.errors.append(error)
            if isinstance(error, NotApplicableError):
                agent_state = agent_state.with_unfit(parse_label(label)[1])
            else:
                agent_state = self._with_failure(agent_state, error)
        else:
            if isinstance(staged, Nothing):
                return agent_state
            run.installed = staged.improvement.label
        self._read_overview(run, agent_state, conditions)
        if run.overview is not None and run.overview.status.in_force == run.installed:
            run.activated = run.installed  # it needed no restart
        return agent_state

    def _activate(self, run: UpdateRun, agent_state: AgentState, conditions: Conditions) -> None:
        overview = run.overview
        step = overview.plan.activate if overview is not None else None
        if overview is None or step is None or not step.is_due(self._now()):
            return
        try:
            if step.reason == "now":
                if not isinstance(self._acting(step).activate(run.product), Nothing):
                    run.activated = overview.pending_label
            elif overview.scheduled_restart is None:
                result = restart.restart(
                    self._acting(step),
                    run.product,
                    countdown=restart.AUTOMATIC_COUNTDOWN,
                    automatic=True,
                )
                if isinstance(result, restart.AnnouncedRestart):
                    run.announced = result
                elif not isinstance(result, Nothing):  # another command was faster
                    run.activated = overview.pending_label
                    error = result.start_error()
                    if error is not None:
                        run.errors.append(error)
        except StillRunningError as error:
            # A program has started meanwhile, or does not close: its user has the last word.
            if step.reason != "now":
                run.errors.append(error)
        except RepointError as error:
            run.errors.append(error)
        self._read_overview(run, agent_state, conditions)

    def _read_overview(
        self, run: UpdateRun, agent_state: AgentState, conditions: Conditions
    ) -> None:
        census = None if self.hand_over is None else Census()
        observation = Observation(self._now(), conditions, agent_state, census)
        try:
            run.overview = read_overview(self.device, run.product, observation)
        except RepointError as error:
            run.overview = None
            run.errors.append(error)

    def _conditions(self) -> Conditions:
        read = self.conditions or self.device.host.conditions.read
        return read(self.device.store.path)

    def _acting(self, step: Step) -> Device:
        """Return the device for a change that the policy enforces, or that is automatic."""
        enforced = step.reason in ("deadline", "window")
        return self.device.acting(Actor("policy" if enforced else "automatic"))

    def _now(self) -> int:
        return int(self.clock())


def _isolated(state: ProductState, work: Callable[[ProductState], UpdateRun]) -> UpdateRun:
    """Return the update run of a product; a damaged product has one with its error."""
    troubles: Troubles = {}
    try:
        with isolated(state.name, troubles):
            return work(state)
    except Exception as error:  # not even a fault of Repoint stops the other products
        troubles[state.name] = UnexpectedError(
            f"An unexpected error ended the update run of {state.name}: "
            f"{type(error).__name__}: {error}",
            hint="Report it to Repoint's developers; the next run tries again",
        )
    return UpdateRun(state.name, errors=[troubles[state.name]])


def _with_hindrance(run: UpdateRun, agent_state: AgentState) -> AgentState:
    """Record whether the run could work. One that had nothing to try says nothing."""
    overview = run.overview
    why = overview.effective_settings.policy_problem if overview is not None else ""
    if run.errors:
        why = str(run.errors[0])
    if why or run.checked:
        agent_state = agent_state.with_hindrance(why)
    run.hindered = agent_state.hindered if why else 0
    return agent_state


def _may_need_activation(run: UpdateRun) -> bool:
    """Return whether an improvement is pending, or the policy may restart programs."""
    overview = run.overview
    if overview is None:
        return False
    status = overview.status
    pending = status.available is not None or bool(status.staged) or status.on_trial
    return pending or (overview.automatic_restarts and has_letter(status.in_force))


def _write(state: ProductState, agent_state: AgentState) -> None:
    # The product may have been unenrolled meanwhile.
    with contextlib.suppress(FileNotFoundError), explained("write the agent's state"):
        write_agent_state(state, agent_state)


def _offered_letters(state: ProductState) -> list[str]:
    catalog = state.documents.catalog()
    if catalog is None:
        return []
    return [offer.letter for offer in catalog.offers_for(state.documents.enrolment().baseline)]
