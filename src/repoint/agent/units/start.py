"""Asking systemd to start what Repoint does beside a command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from repoint.agent.units.unit_files import ACTIVATE, WATCH
from repoint.host.systemd import Systemd, TransientUnit
from repoint.model.errors import RepointError


class CannotHandOverError(RepointError):
    """A unit of Repoint's cannot be started."""


def start_activation(systemd: Systemd) -> None:
    """Start the unit that brings into force what is due, without waiting for it.

    Raises:
        CannotHandOverError: There is no such unit, or systemd does not let us.
    """
    why = systemd.start_own(ACTIVATE).reason
    if why:
        raise CannotHandOverError(
            f"{ACTIVATE} cannot be started: {why}", hint="Run `repoint agent install` again"
        )


def start_watch(store: Path, systemd: Systemd) -> None:
    """Let what is on trial be watched, without waiting for it.

    It runs beside the start of the machine: nothing waits for it, and it waits for nothing, as what
    is on trial may hold up anything. So no unit has to be installed for it either.

    Raises:
        CannotHandOverError: systemd does not let us.
    """
    alone = ("DefaultDependencies=no", "Conflicts=shutdown.target", "Before=shutdown.target")
    command = (sys.executable, "-m", "repoint", "system", "watch", "--store", str(store))
    unit = TransientUnit(
        command,
        name=WATCH,
        description="Watch a security improvement on trial",
        properties=("Restart=on-abnormal", *(alone if os.geteuid() == 0 else ())),
        wait=False,
    )
    why = systemd.start_transient(unit).reason
    if why and not systemd.is_active(WATCH):
        raise CannotHandOverError(
            f"{WATCH} cannot be started: {why}",
            hint="The next command that changes the store sees to what is on trial",
        )
