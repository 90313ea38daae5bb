"""A round of the agent where there is nothing to do, as the timer starts it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import figure, run, run_watched
from benchmarks.results import Group, Row
from benchmarks.scene import Scene

_REPETITIONS = 15
_GOAL = 0.5
"""Seconds of processor time."""


def measure(scene: Scene, progress: Callable[[], None]) -> list[Group]:
    """Make rounds on a device that has what there is."""
    scene.repoint_device.reset()
    command = scene.repoint.command("agent", "run-once")
    walls, cpus, requests, bodies = [], [], [], []
    with tempfile.TemporaryDirectory() as state:
        environment = {**scene.repoint.environment, "XDG_STATE_HOME": state}
        run(command, environment=environment)
        for _ in range(_REPETITIONS):
            with scene.server.counted() as traffic:
                ran = run(command, environment=environment)
            walls.append(ran.wall)
            cpus.append(ran.cpu)
            requests.append(len(traffic.requests))
            bodies.append(traffic.body)
            progress()
        peak = run_watched(command, environment=environment)
    return [
        Group(
            "An idle update run of the agent, whole process",
            ("Repoint",),
            (
                Row("processor time", (figure(cpus, "s"),), goal=_GOAL),
                Row("wall time", (figure(walls, "s"),)),
                Row("requests", (figure(requests, "count"),), goal=2),
                Row("bodies", (figure(bodies, "B"),), goal=1),
                Row("memory while it lasts", (figure([peak.together], "MB"),)),
                Row("processes between two update runs", (_resident(scene.repoint.folder),)),
            ),
        )
    ]


def _resident(store: Path) -> str:
    """How many processes name the device's folder in their command line."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    found = [line for line in listed.stdout.splitlines() if "agent" in line and str(store) in line]
    return str(len(found)) if found else "none"
