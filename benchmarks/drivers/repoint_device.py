"""A device that uses Repoint: ``repoint_device.py JOB STORE``; prints seconds as JSON.

Jobs: ``check``; ``update`` (from check to staged); ``cycle COUNT`` (stage, activate, remove).
What the library imports when it first needs it is imported beforehand, as the other side does it,
so that the times are of the work alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import repoint.device.activate.activation
import repoint.device.activate.recovery
import repoint.device.store.trees.gc
import repoint.device.update.check
import repoint.device.update.enrolment.enroll
import repoint.device.update.install
import repoint.device.update.remove  # noqa: F401
from repoint.device.device import Device
from repoint.device.outcomes import require_done


def check(device: Device) -> dict[str, float]:
    """Ask the repository."""
    begun = time.perf_counter()
    device.check(None)
    return {"work": time.perf_counter() - begun}


def update(device: Device) -> dict[str, object]:
    """From check to staged."""
    begun = time.perf_counter()
    device.check(None)
    checked = time.perf_counter()
    staged = require_done(device.install(None, user_initiated=True))
    done = time.perf_counter()
    return {
        "work": done - begun,
        "check": checked - begun,
        "download": staged.seconds["download"],
        "rest": done - checked - staged.seconds["download"],
    }


def cycle(device: Device, count: int) -> dict[str, list[float]]:
    """Stage, activate and remove, again and again."""
    times: dict[str, list[float]] = {"switch": [], "activate": [], "remove": []}
    device.check(None)
    for _ in range(count):
        device.install(None, user_initiated=True)
        begun = time.perf_counter()
        activation = require_done(device.activate(None))
        activated = time.perf_counter()
        at_once = require_done(device.remove(None, why="a benchmark")).is_complete
        removed = time.perf_counter()
        if not at_once:
            raise SystemExit("the removal waits for a process that runs from the component")
        times["switch"].append(activation.switch)
        times["activate"].append(activated - begun)
        times["remove"].append(removed - activated)
    return times


def main() -> None:
    """Do the job that is named."""
    job, store, *rest = sys.argv[1:]
    device = Device(Path(store))
    jobs: dict[str, Callable[[], object]] = {
        "check": lambda: check(device),
        "update": lambda: update(device),
        "cycle": lambda: cycle(device, int(rest[0])),
    }
    print(json.dumps(jobs[job]()))


if __name__ == "__main__":
    main()
