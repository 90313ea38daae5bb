"""Asking systemd to start what Repoint does beside a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from repoint.agent.units.unit_files import ACTIVATE, WATCH
from repoint.model.errors import RepointError


class CannotHandOverError(RepointError):
    """A unit of Repoint's cannot be started."""


def start_activation() -> None:
    """Start the unit that brings into force what is due, without waiting for it.

    Raises:
        CannotHandOverError: There is no such unit, or systemd does not let us.
    """
    whose = [] if os.geteuid() == 0 else ["--user"]
    why = _refusal(["systemctl", *whose, "--no-ask-password", "--no-block", "start", ACTIVATE])
    if why:
        raise CannotHandOverError(
            f"{ACTIVATE} cannot be started: {why}", hint="Run `repoint agent install` again"
        )


def start_watch(store: Path) -> None:
    """Let what is on trial be watched, without waiting for it.

    It runs beside the start of the machine: nothing waits for it, and it waits for nothing, as what
    is on trial may hold up anything. So no unit has to be installed for it either.

    Raises:
        CannotHandOverError: systemd does not let us.
    """
    whose = [] if os.geteuid() == 0 else ["--user"]
    alone = [] if whose else ["DefaultDependencies=no", "Conflicts=shutdown.target",
                              "Before=shutdown.target"]  # fmt: skip
    why = _refusal(
        ["systemd-run", *whose, "--quiet", "--collect", "--no-block", "--no-ask-password",
         f"--unit={WATCH}", "--description=Watch a security improvement on trial",
         *(f"--property={line}" for line in ("Restart=on-abnormal", *alone)), "--",
         sys.executable, "-m", "repoint", "system", "watch", "--store", str(store)]
    )  # fmt: skip
    if why and not _is_active(WATCH, whose):
        raise CannotHandOverError(
            f"{WATCH} cannot be started: {why}",
            hint="The next command that changes the store sees to what is on trial",
        )


def _is_active(unit: str, whose: list[str]) -> bool:
    return not _refusal(["systemctl", *whose, "--quiet", "is-active", unit])


def _refusal(command: list[str]) -> str:
    """Run a command; why it failed, or nothing."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return " ".join(done.stderr.split()) or f"status {done.returncode}"
