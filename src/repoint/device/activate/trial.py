"""The trial of an improvement: it stays only if what uses it really runs. Without I/O.

An improvement that was switched to is on trial until it is confirmed. What is on disk of a trial
(`Trial`) is written before the switch, so that a start of the machine that never comes to its end
is counted by the next one, which still runs from the base. These rules decide:

1. A letter holds when every service that runs from it has been active for a while, and, where more
   than services have to restart for it, when the machine has finished its start.
2. It fails when such a service has failed for good, or when that has not come about in time.
3. Without a decision in ``TRIES`` starts of the machine it fails, before anything is merged. One
   start that was cut off says nothing of the letter; as many in a row do.
4. While the machine stops nothing is decided: what ends then was told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from repoint.device.store.records import Trial
from repoint.host.systemd import MachineState, ServiceState

TRIES = 3
"""Starts of the machine that a letter has. A watchdog or a person resets a machine that hangs;
one power cut, or two, must not condemn a good letter."""

PATIENCE = 600.0
"""Seconds that services, and the machine, have to start. systemd itself gives a service 90 seconds
(``DefaultTimeoutStartSec=``), after which it has failed and nobody has to wait longer; this is for
those that have no bound of their own, and for slow machines."""

STEADY = 10.0
"""Seconds that a service is to be active. systemd starts one that ends again five times within ten
seconds before it gives up (``StartLimitBurst=``, ``StartLimitIntervalSec=``)."""


@dataclass(frozen=True)
class Verdict:
    """What a look at a letter on trial comes to.

    Attributes:
        kind: Whether it is to be waited for, holds or has failed.
        why: Why it has failed.
    """

    kind: Literal["waits", "holds", "failed"]
    why: str = ""


WAITS, HOLDS = Verdict("waits"), Verdict("holds")


def counted(trial: Trial, boot: str, now: float) -> Trial:
    """The trial as a start of the machine finds it; the same within one start.

    Args:
        trial: What is on disk.
        boot: The kernel's name for this start.
        now: Seconds since it.
    """
    if trial.boot == boot:
        return trial
    return msgspec.structs.replace(
        trial, boot=boot, began=now, tries=trial.tries + 1, starting=True
    )


def is_spent(trial: Trial) -> bool:
    """Whether a letter had all its tries, this start not being one of them any more."""
    return trial.tries > TRIES


def judge(
    trial: Trial, services: Sequence[ServiceState], machine: MachineState, now: float
) -> Verdict:
    """Decide by rules 1, 2 and 4.

    Args:
        trial: What is on disk.
        services: How its services go now.
        machine: How the machine goes now.
        now: Seconds since its start.
    """
    if machine == "stopping":
        return WAITS
    for seen in services:
        if seen.state == "failed" and not seen.queued:
            return Verdict("failed", f"{seen.unit.name} does not run any more ({seen.result})")
    waiting = [seen for seen in services if not _is_well(seen)]
    if not waiting and (machine == "running" or not trial.whole):
        return HOLDS
    if now - trial.began < PATIENCE:
        return WAITS
    minutes = f"{PATIENCE / 60:.0f} minutes"
    if waiting:
        state = "" if waiting[0].state == "active" else f": it is {waiting[0].state}"
        return Verdict(
            "failed", f"{waiting[0].unit.name} did not run steadily within {minutes}{state}"
        )
    return Verdict("failed", f"the start of the machine did not end within {minutes}")


def _is_well(seen: ServiceState) -> bool:
    """Runs steadily; or rests, because nobody has asked for it in this start."""
    if seen.state == "active":
        return seen.steady >= STEADY and not seen.queued
    return seen.state == "inactive" and not seen.queued
