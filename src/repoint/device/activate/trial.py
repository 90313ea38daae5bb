"""The trial of a letter: the rules that confirm it, roll it back, or let it wait. Without I/O.

A letter is on trial from its activation until it is confirmed. The trial record is written before
the switch, so that a start of the machine that never finishes is counted by the next one, which
still runs from the base. `RULES` is the table; `decide` applies the first rule that matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from repoint.device.store.records import Trial
from repoint.host.systemd.services import MachineState, ServiceState

TRIES = 3
"""The number of machine starts that a letter has. A watchdog or a person resets a machine that
hangs; one power cut, or two, must not condemn a good letter."""

START_TIMEOUT = 600.0
"""Seconds that services, and the machine, have to start. systemd itself gives a service 90 seconds
(``DefaultTimeoutStartSec=``); after that it has failed, and nothing waits longer. This timeout is
for services without a limit of their own, and for slow machines."""

STEADY = 10.0
"""Seconds that a service must be active. systemd restarts a service that exits five times within
ten seconds before it gives up (``StartLimitBurst=``, ``StartLimitIntervalSec=``)."""


class Observation(msgspec.Struct, frozen=True):
    """What is known about a letter on trial.

    Attributes:
        trial: The trial record; this start of the machine is counted.
        services: The state of its services now.
        machine: The state of the machine now.
        uptime: Seconds since the machine started.
    """

    trial: Trial
    services: Sequence[ServiceState] = ()
    machine: MachineState = "running"
    uptime: float = 0.0

    @property
    def unsteady(self) -> list[ServiceState]:
        """The services that do not run steadily."""
        return [service for service in self.services if not _is_steady(service)]

    @property
    def is_timed_out(self) -> bool:
        """True if services and machine have had their time to start."""
        return self.uptime - self.trial.began >= START_TIMEOUT


class Verdict(msgspec.Struct, frozen=True):
    """What happens to a letter.

    Attributes:
        kind: Whether it waits, is confirmed, or is rolled back.
        reason: Why it is rolled back.
        cause: The kind of failure, if it is rolled back.
    """

    kind: Literal["wait", "confirm", "roll back"]
    reason: str = ""
    cause: Literal["", "health", "start"] = ""


WAIT, CONFIRM = Verdict("wait"), Verdict("confirm")

Rule = Callable[[Observation], Verdict | None]


def roll_back_after_last_try(seen: Observation) -> Verdict | None:
    """A letter that is undecided after `TRIES` starts of the machine is rolled back.

    One interrupted start says nothing about the letter; that many in a row do.
    """
    if seen.trial.tries <= TRIES:
        return None
    return Verdict(
        "roll back", f"{TRIES} starts of the machine did not come far enough to confirm it", "start"
    )


def wait_while_machine_stops(seen: Observation) -> Verdict | None:
    """While the machine stops, nothing is decided: services end because they are told to."""
    return WAIT if seen.machine == "stopping" else None


def roll_back_if_service_failed(seen: Observation) -> Verdict | None:
    """A letter is rolled back when one of its services has failed for good."""
    for service in seen.services:
        if service.state == "failed" and not service.queued:
            reason = f"{service.unit.name} does not run any more ({service.result})"
            return Verdict("roll back", reason, "health")
    return None


def confirm_if_steady(seen: Observation) -> Verdict | None:
    """A letter is confirmed when all its services are steady, and the machine is up if it must be.

    A service is steady when it has been active for `STEADY` seconds, or is inactive because
    nothing requested it in this start. The machine must be up if more than services restart.
    """
    is_up = seen.machine == "running" or not seen.trial.whole
    return CONFIRM if is_up and not seen.unsteady else None


def wait_until_timeout(seen: Observation) -> Verdict | None:
    """Until `START_TIMEOUT` has passed, an undecided letter waits."""
    return None if seen.is_timed_out else WAIT


def roll_back_after_timeout(seen: Observation) -> Verdict | None:
    """After `START_TIMEOUT`, an undecided letter is rolled back."""
    minutes = f"{START_TIMEOUT / 60:.0f} minutes"
    if not seen.unsteady:
        reason = f"the start of the machine did not end within {minutes}"
        return Verdict("roll back", reason, "start")
    service = seen.unsteady[0]
    state = "" if service.state == "active" else f": it is {service.state}"
    reason = f"{service.unit.name} did not run steadily within {minutes}{state}"
    return Verdict("roll back", reason, "health")


RULES: tuple[Rule, ...] = (
    roll_back_after_last_try,
    wait_while_machine_stops,
    roll_back_if_service_failed,
    confirm_if_steady,
    wait_until_timeout,
    roll_back_after_timeout,
)
"""The rules in the order in which they apply.

What they confirm must still pass the health checks of its components, which run last because they
run programs: see `confirmation.confirm_or_roll_back`.
"""


def decide(seen: Observation) -> Verdict:
    """Return the verdict of the first rule that applies."""
    return next(verdict for rule in RULES if (verdict := rule(seen)) is not None)


def count_start(trial: Trial, boot: str, uptime: float) -> Trial:
    """Return the trial record with this start of the machine counted; each start counts once.

    Args:
        trial: The record on disk.
        boot: The kernel's identifier of this start.
        uptime: Seconds since this start.
    """
    if trial.boot == boot:
        return trial
    return msgspec.structs.replace(
        trial, boot=boot, began=uptime, tries=trial.tries + 1, starting=True
    )


def _is_steady(service: ServiceState) -> bool:
    if service.state == "active":
        return service.steady >= STEADY and not service.queued
    return service.state == "inactive" and not service.queued
