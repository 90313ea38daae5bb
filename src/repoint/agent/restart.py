"""Restart for every restart scope: programs, services, the session, the machine.

Programs and services restart at once. The session and the machine restart after a countdown, and
what is staged comes into force at the start that follows, through the units that ``repoint agent
install`` writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from repoint.agent.overview.overview import read_overview
from repoint.device.activate.restart import Restarted
from repoint.device.device import Device
from repoint.device.outcomes import Nothing
from repoint.host.systemd import logind

COUNTDOWN = 60
"""Seconds in which a person can stop the restart that they requested."""
AUTOMATIC_COUNTDOWN = 5 * 60
"""Seconds in which people can stop a restart that the policy demands."""


@dataclass(frozen=True)
class AnnouncedRestart:
    """A restart of the session or the machine that is to come.

    Attributes:
        scope: What restarts.
        when: Seconds since 1970.
    """

    scope: Literal["session", "system"]
    when: int


def restart(
    device: Device,
    product: str | None,
    *,
    countdown: int = COUNTDOWN,
    on_second: Callable[[int], bool] | None = None,
    automatic: bool = False,
) -> Restarted | AnnouncedRestart | Nothing:
    """Bring what is staged into force by restarting what must restart.

    Args:
        device: The device.
        product: The product; None if only one is enrolled.
        countdown: Seconds before a session ends or the machine restarts.
        on_second: Called once a second with the seconds that are left before the session ends;
            stops the countdown by returning False. The machine's countdown is logind's: see
            `logind.cancel_restart`.
        automatic: Whether the policy demands the restart, not a person. The machine then restarts
            instead of a session, because everyone sees its countdown and can stop it.

    Returns:
        What was restarted, what will restart and when, or why nothing restarts.

    Raises:
        RepointError: A program does not close, or the caller may not restart it.
    """
    overview = read_overview(device, product)
    scope = overview.restart_scope
    if scope in ("session", "system"):
        # The start that follows may be without a network.
        stopped = device.unstage_if_stopped(product)
        if stopped is not None:
            return stopped
    if scope == "system" or (automatic and scope == "session"):
        when = logind.in_seconds(countdown)
        label = overview.pending_label
        message = f"Repoint restarts this machine to bring {label} into force"
        device.host.logind.schedule_restart(when, message)
        return AnnouncedRestart("system", when)
    if scope == "session":
        pids = [pid for affected in overview.affected_now for pid in affected.pids]
        for left in range(countdown, 0, -1):
            if on_second is not None and not on_second(left):
                raise logind.CannotRestartError(
                    "The restart was stopped",
                    hint=f"Run {overview.command('restart')} when it suits you",
                )
            time.sleep(1)
        if device.host.logind.end_sessions(pids):
            return AnnouncedRestart("session", logind.in_seconds(0))
    return device.restart(product)
