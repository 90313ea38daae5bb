"""How long a person waits for `repoint status`, as a whole process that starts afresh."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable

from benchmarks.measuring import figure, run
from benchmarks.results import Group, Row
from benchmarks.scene import Scene

_REPETITIONS = 15
_GOAL = 0.25
"""Seconds."""
_HEAVY = ("cryptography", "hdiffpatch", "numpy", "securesystemslib", "starlette", "tuf", "urllib3")
"""What looking must never import."""
_LINE = re.compile(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)")


def measure(scene: Scene, progress: Callable[[], None]) -> list[Group]:
    """Measure the command on a device where a fix waits for its restart."""
    scene.repoint_device.reset()
    run(scene.repoint.driver("update"))
    command = scene.repoint.command("status")
    walls: list[float] = []
    cpus: list[float] = []
    empty: list[float] = []
    for number in range(1 + _REPETITIONS):
        ran = run(command, environment=scene.repoint.environment)
        nothing = run([sys.executable, "-c", "pass"])
        if "waiting for restart" not in ran.stdout:
            raise SystemExit("benchmarks: `repoint status` does not show the fix that waits")
        if number:  # the first warms the machine up
            walls.append(ran.wall)
            cpus.append(ran.cpu)
            empty.append(nothing.wall)
        progress()
    times = _imports(scene)
    heavy = [name for name in _HEAVY if name in times]
    slowest = ", ".join(f"`{name}` {us / 1000:.0f} ms" for name, us in times.most_common(6))
    return [
        Group(
            "`repoint status`, whole process",
            ("Repoint",),
            (
                Row("wall time", (figure(walls, "s"),), goal=_GOAL),
                Row("processor time", (figure(cpus, "s"),)),
                Row("of that, an interpreter that does nothing (wall time)", (figure(empty, "s"),)),
                Row("heavy modules imported", (", ".join(heavy) or "none",)),
            ),
            (
                f"All imports together: {sum(times.values()) / 1000:.0f} ms with `-X importtime`, "
                f"which itself takes time. The most expensive packages: {slowest}.",
            ),
        )
    ]


def _imports(scene: Scene) -> Counter[str]:
    """Microseconds that the import of each package's own modules takes (one run)."""
    command = [sys.executable, "-X", "importtime", "-m", "repoint", "status"]
    found: Counter[str] = Counter()
    for line in run(command, environment=scene.repoint.environment).stderr.splitlines():
        match = _LINE.match(line)
        if match:
            top = match[2].partition(".")[0]
            found[top if top not in sys.stdlib_module_names else "stdlib"] += int(match[1])
    return found
