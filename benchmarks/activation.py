"""Activation and removal: the moment in which something changes for a person."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import figure, run, settle
from benchmarks.results import Group, Row
from benchmarks.scene import Scene

_REPETITIONS = 25
_GOAL = 0.010
"""Seconds, for the switch."""


def measure(scene: Scene, progress: Callable[[], None]) -> list[Group]:
    """Stage, activate and remove many times; beside it, copy the same files into place."""
    scene.repoint_device.reset()
    ran = run(scene.repoint.driver("cycle", str(1 + _REPETITIONS)))
    switch, activate, remove = (
        figure(ran.answer[name][1:], "s")  # the first warms the machine up
        for name in ("switch", "activate", "remove")
    )
    copied = []
    for number in range(1 + _REPETITIONS):
        seconds = _copy(scene.material.new_tree, scene.tufup_device.folder / "app")
        if number:
            copied.append(seconds)
        progress()
    return [
        Group(
            "Activation and removal",
            ("Repoint", "copying into place"),
            (
                Row("the switch alone", (switch, figure(copied, "s")), goal=_GOAL),
                Row("activation, with census, record and tidying up", (activate, "")),
                Row("removal, with the baseline verified before", (remove, "not offered")),
            ),
        )
    ]


def _copy(source: Path, app: Path) -> float:
    """Copy as tufup does on macOS; on Linux it leaves it to the application."""
    settle()
    started = time.perf_counter()
    shutil.copytree(source, app, dirs_exist_ok=True)
    return time.perf_counter() - started
