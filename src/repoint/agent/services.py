"""Asking systemd to start one of Repoint's own units."""

from __future__ import annotations

import os
import subprocess

from repoint.agent.unit_files import ACTIVATE
from repoint.model.errors import RepointError


class CannotHandOverError(RepointError):
    """The unit that activates cannot be started."""


def start_activation() -> None:
    """Start the unit that brings into force what is due, without waiting for it.

    Raises:
        CannotHandOverError: There is no such unit, or systemd does not let us.
    """
    whose = [] if os.geteuid() == 0 else ["--user"]
    try:
        done = subprocess.run(
            ["systemctl", *whose, "--no-ask-password", "--no-block", "start", ACTIVATE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
        said = done.stderr.decode(errors="replace").strip()
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        said, failed = str(error), True
    if failed:
        raise CannotHandOverError(
            f"{ACTIVATE} cannot be started: {' '.join(said.split())}",
            hint="Run `repoint agent install` again",
        )
