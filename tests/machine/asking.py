"""Query the machine, with time limits that an emulator on a busy host can meet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.machine.machine import Machine

_BEGUN = time.monotonic()

PATIENCE = 600.0
"""Seconds to wait for what the machine does without being asked."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(2)


def decided(machine: Machine, product: str) -> None:
    """Wait until no letter of a product is on trial.

    In the emulator, polling `repoint status` would take longer than the trial itself."""
    command = f"test ! -e /var/lib/repoint/products/{product}/trial.json; echo $?"
    wait_until(lambda: machine.run(command) == "0\n", f"{product} is decided")


def started(machine: Machine) -> None:
    """Wait until the machine has started; none of our units may fail."""
    state = "systemctl is-system-running || true"
    wait_until(lambda: machine.run(state).strip() in ("running", "degraded"), "it has started")
    units = machine.run("systemctl --failed --plain --no-legend | cut -d' ' -f1").split()
    # The watcher of a failed letter fails too, and a service may hang on purpose.
    failed = [u for u in units if u.startswith("repoint-") and u != "repoint-watch.service"]
    assert not failed, machine.run(f"journalctl -b --no-pager -u {' -u '.join(failed)}")


def expect(
    machine: Machine, *, loaded_is: int, force: str, protected: bool, product: str = ""
) -> None:
    """Check that the service runs what Repoint reports."""
    runs = loaded(machine)
    status = read(machine, product)
    assert runs == loaded_is, status
    assert (status["in_force"], status["protected"]) == (force, protected), status


def read(machine: Machine, product: str = "") -> dict[str, Any]:
    """Return the status as a record."""
    which = f" --product {product}" if product else ""
    printed: dict[str, Any] = json.loads(machine.run(f"repoint status --json{which}"))
    return printed


def loaded(machine: Machine) -> int:
    """Return the version of the library that the service loaded, from its output since its last stop."""
    active = "systemctl is-active acme.service || true"
    wait_until(lambda: machine.run(active) == "active\n", "the service runs")
    wait_until(lambda: bool(_written(machine)), "what the service wrote is in the journal")
    return int(_written(machine)[-1].split()[1])


def _written(machine: Machine) -> list[str]:
    printed = machine.run("journalctl -q -b -u acme.service -o cat -n 50")
    since = printed.rpartition("\nStopped ")[2]
    return [line for line in since.splitlines() if line.startswith("codec ")]


def say(text: str) -> None:
    """Print a message with its time."""
    print(f"[{time.monotonic() - _BEGUN:4.0f} s] {text.rstrip()}", flush=True)
