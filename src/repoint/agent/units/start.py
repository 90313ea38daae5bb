"""Background work of a command that systemd starts."""

from __future__ import annotations

import os
from pathlib import Path

from repoint.agent.units.unit_files import ACTIVATE, AGENT, WATCH
from repoint.host.interpreter import module_command
from repoint.host.systemd.services import Systemd, TransientUnit
from repoint.model.errors import RepointError


class CannotHandOverError(RepointError):
    """A unit of Repoint cannot be started."""


def start_activation(systemd: Systemd) -> None:
    """Start the unit that activates what is due, without waiting for it.

    Raises:
        CannotHandOverError: The unit is not installed, or systemd does not permit it.
    """
    reason = systemd.start_own(ACTIVATE).reason
    if reason:
        raise CannotHandOverError(
            f"{ACTIVATE} cannot be started: {reason}", hint="Run `repoint agent install` again"
        )


def start_update_run(systemd: Systemd) -> bool:
    """Start the unit that makes an update run, without waiting; return whether that worked."""
    return systemd.is_booted() and not systemd.start_own(AGENT).reason


def start_watch(store: Path, systemd: Systemd) -> None:
    """Start a unit that watches letters on trial, without waiting for it.

    The watch runs in parallel to the start of the machine: nothing waits for it, and it waits for
    nothing, because what is on trial may block any other unit. It is a transient unit, so none has
    to be installed.

    Raises:
        CannotHandOverError: systemd does not permit it.
    """
    independent = ("DefaultDependencies=no", "Conflicts=shutdown.target", "Before=shutdown.target")
    command = module_command("repoint", "system", "watch", "--store", str(store))
    unit = TransientUnit(
        command,
        name=WATCH,
        description="Watch a security improvement on trial",
        properties=("Restart=on-abnormal", *(independent if os.geteuid() == 0 else ())),
        wait=False,
    )
    reason = systemd.start_transient(unit).reason
    if reason and not systemd.is_active(WATCH):
        raise CannotHandOverError(
            f"{WATCH} cannot be started: {reason}",
            hint="The next command that changes the store confirms it or rolls it back",
        )
