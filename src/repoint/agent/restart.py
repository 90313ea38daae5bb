"""Restart for every scope: programs, services, the session, the machine.

Programs and services are restarted at once. The session and the machine are restarted after a
countdown; what is staged comes into force at the start that follows, by the units that
``repoint agent install`` writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from repoint.agent.overview import Overview, read_overview
from repoint.agent.plan import widest
from repoint.device.activate.restart import Restarted
from repoint.device.device import Device
from repoint.host import logind
from repoint.model.baseline import RestartScope

COUNTDOWN = 60
"""Seconds that a person who asked for it has to think better of it."""
UNATTENDED_COUNTDOWN = 5 * 60
"""Seconds that people have where the policy asks for the restart."""


@dataclass(frozen=True)
class Announced:
    """A restart of the session or the machine that is to come.

    Attributes:
        scope: What restarts.
        when: Seconds since 1970.
    """

    scope: Literal["session", "system"]
    when: int


def scope_of(outlook: Overview) -> RestartScope:
    """The widest restart scope of what is to be activated.

    Where a person removed an improvement, or programs only run replaced code, the same counts as
    for what they would come from.
    """
    return widest({thing.scope for thing in outlook.activating})


def restart(
    device: Device,
    product: str | None,
    *,
    seconds: int = COUNTDOWN,
    counting: Callable[[int], bool] | None = None,
    by_itself: bool = False,
) -> Restarted | Announced:
    """Bring into force what waits, by restarting what has to restart.

    Args:
        device: The device.
        product: The product; may be left out where only one is enrolled.
        seconds: The countdown before a session ends or the machine restarts.
        counting: Told the seconds that are left before the session ends, once a second; ends the
            countdown by returning false. The machine's countdown is logind's: see
            `machine.cancel_restart`.
        by_itself: Whether nobody asked for it but the policy. Then the machine restarts in the
            place of a session, since everybody sees its countdown and can stop it.

    Returns:
        What was restarted, or what will restart and when.

    Raises:
        RepointError: Nothing waits; a program does not close; or it cannot be done from here.
    """
    outlook = read_overview(device, product)
    scope = scope_of(outlook)
    label = outlook.status.staged or outlook.status.in_force
    if scope == "system" or (by_itself and scope == "session"):
        when = logind.in_seconds(seconds)
        logind.schedule_restart(when, f"Repoint restarts this machine to bring {label} into force")
        return Announced("system", when)
    if scope == "session":
        pids = [pid for thing in outlook.activating for pid in thing.pids]
        for left in range(seconds, 0, -1):
            if counting is not None and not counting(left):
                raise logind.CannotRestartError(
                    "The restart was stopped", hint="Run `repoint restart` when it suits you"
                )
            time.sleep(1)
        if logind.end_sessions(pids):
            return Announced("session", logind.in_seconds(0))
    return device.restart(product)
