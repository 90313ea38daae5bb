"""Restart the session or the machine through logind, with a countdown that can be stopped.

The countdown is logind's own: no process of Repoint stays resident for it, everybody who is logged
in is notified, and ``shutdown -c`` stops it as well.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection

from repoint.host.dbus import Bus, BusError, BusObject
from repoint.model.errors import RepointError

_NAME = "org.freedesktop.login1"
_MANAGER = BusObject(_NAME, "/org/freedesktop/login1", f"{_NAME}.Manager")
_REBOOT = "reboot"


class CannotRestartError(RepointError):
    """The session or the machine cannot be restarted from here; a person must do it."""


class Logind:
    """The login manager of a machine.

    Args:
        bus: The system bus.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def schedule_restart(self, when: int, message: str) -> None:
        """Schedule a restart of the machine, and notify everybody who is logged in.

        Args:
            when: Seconds since 1970.
            message: The reason, in one line.

        Raises:
            CannotRestartError: A program blocks restarts, or there is no logind, or it refuses.
        """
        blockers = self._inhibitors()
        if blockers:
            raise CannotRestartError(
                f"The machine cannot restart now: {', '.join(blockers)}",
                hint="Let that finish, then try again",
            )
        self._call("SetWallMessage", "sb", (message, True))
        self._call("ScheduleShutdown", "st", (_REBOOT, when * 1_000_000))

    def scheduled_restart(self) -> int | None:
        """Return when the machine restarts, in seconds since 1970; None if none is scheduled."""
        with contextlib.suppress(BusError, ValueError):
            kind, when = self._bus.get_property(_MANAGER, "ScheduledShutdown")
            if kind == _REBOOT and when:
                return int(when // 1_000_000)
        return None

    def cancel_restart(self) -> bool:
        """Stop the countdown. Return whether there was one.

        Raises:
            CannotRestartError: There is no logind, or it refuses.
        """
        try:
            (stopped,) = self._bus.call(_MANAGER, "CancelScheduledShutdown")
        except BusError as error:
            raise CannotRestartError(
                f"A countdown cannot be stopped from here: {error.message}",
                hint="If a restart of the machine was announced, stop it with `shutdown -c`",
            ) from error
        return bool(stopped)

    def end_sessions(self, pids: Collection[int]) -> int:
        """End the sessions that processes belong to. Unsaved work is lost.

        Returns:
            How many sessions were ended.

        Raises:
            CannotRestartError: There is no logind, or it refuses.
        """
        paths = set()
        for pid in pids:
            with contextlib.suppress(BusError):  # It has ended, or belongs to no session.
                paths.add(self._bus.call(_MANAGER, "GetSessionByPID", "u", (pid,))[0])
        for path in sorted(paths):
            try:
                self._bus.call(BusObject(_NAME, path, f"{_NAME}.Session"), "Terminate")
            except BusError as error:
                raise _cannot("end the session", error) from error
        return len(paths)

    def _inhibitors(self) -> list[str]:
        """The programs that block a restart, with their reasons; those that delay it do not."""
        try:
            (inhibitors,) = self._bus.call(_MANAGER, "ListInhibitors")
        except BusError as error:
            raise _cannot("restart", error) from error
        return [
            f"{program} ({reason})" if reason else program
            for what, program, reason, mode, *_ in inhibitors
            if mode == "block" and "shutdown" in what.split(":")
        ]

    def _call(
        self, method: str, signature: str = "", arguments: tuple[object, ...] = ()
    ) -> tuple[object, ...]:
        try:
            return self._bus.call(_MANAGER, method, signature, arguments)
        except BusError as error:
            raise _cannot("restart", error) from error


def in_seconds(seconds: float) -> int:
    """Return the time that many seconds from now, in seconds since 1970."""
    return int(time.time() + seconds)


def _cannot(action: str, error: BusError) -> CannotRestartError:
    return CannotRestartError(
        f"The machine cannot {action} from here: {error.message}",
        hint="Do it yourself; the staged improvement comes into force then",
    )
