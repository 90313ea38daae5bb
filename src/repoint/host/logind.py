"""Restarting the session or the machine through logind, with a countdown that can be stopped.

The countdown is logind's own: nothing of ours stays resident for it, everybody who is logged in is
told, and ``shutdown -c`` stops it as well.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection

from repoint.host.dbus import BusError, call, get_property, system_bus
from repoint.model.errors import RepointError

_NAME = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_MANAGER = f"{_NAME}.Manager"
_REBOOT = "reboot"


class CannotRestartError(RepointError):
    """The session or the machine cannot be restarted from here; a person must do it."""


def schedule_restart(when: int, message: str) -> None:
    """Let the machine restart at a moment, and tell everybody who is logged in.

    Args:
        when: Seconds since 1970.
        message: Why, one line.

    Raises:
        CannotRestartError: A program asks not to be interrupted, or there is no logind, or it
            does not let us.
    """
    holding = _inhibitors()
    if holding:
        raise CannotRestartError(
            f"The machine cannot restart now: {', '.join(holding)}",
            hint="Let that finish, then try again",
        )
    _call("SetWallMessage", "sb", (message, True))
    _call("ScheduleShutdown", "st", (_REBOOT, when * 1_000_000))


def scheduled_restart() -> int | None:
    """When the machine restarts, in seconds since 1970; nothing where that is not announced."""
    with contextlib.suppress(BusError, ValueError):
        kind, when = get_property(system_bus(), _NAME, _PATH, _MANAGER, "ScheduledShutdown")
        if kind == _REBOOT and when:
            return int(when // 1_000_000)
    return None


def cancel_restart() -> bool:
    """Stop the countdown; whether there was one.

    Raises:
        CannotRestartError: There is no logind, or it does not let us.
    """
    (stopped,) = _call("CancelScheduledShutdown")
    return bool(stopped)


def end_sessions(pids: Collection[int]) -> int:
    """End the sessions that processes belong to; what is not saved there is lost.

    Returns:
        How many were ended.

    Raises:
        CannotRestartError: There is no logind, or it does not let us.
    """
    paths = set()
    for pid in pids:
        with contextlib.suppress(BusError):  # it ended, or belongs to no session
            paths.add(call(system_bus(), _NAME, _PATH, _MANAGER, "GetSessionByPID", "u", (pid,))[0])
    for path in sorted(paths):
        try:
            call(system_bus(), _NAME, path, f"{_NAME}.Session", "Terminate")
        except BusError as error:
            raise _cannot("end the session", error) from error
    return len(paths)


def in_seconds(seconds: float) -> int:
    """The moment so many seconds from now, in seconds since 1970."""
    return int(time.time() + seconds)


def _inhibitors() -> list[str]:
    """Who blocks a restart, and why; a delay is none of our business."""
    try:
        (held,) = call(system_bus(), _NAME, _PATH, _MANAGER, "ListInhibitors")
    except BusError as error:
        raise _cannot("restart", error) from error
    return [
        f"{who} ({why})" if why else who
        for what, who, why, mode, *_ in held
        if mode == "block" and "shutdown" in what.split(":")
    ]


def _call(
    method: str, signature: str = "", arguments: tuple[object, ...] = ()
) -> tuple[object, ...]:
    try:
        return call(system_bus(), _NAME, _PATH, _MANAGER, method, signature, arguments)
    except BusError as error:
        raise _cannot("restart", error) from error


def _cannot(what: str, error: BusError) -> CannotRestartError:
    return CannotRestartError(
        f"The machine cannot {what} from here: {error.message}",
        hint="Do it yourself; what is staged comes into force then",
    )
