"""Health checks: a component's own command decides whether an improvement stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from repoint.model.baseline import Baseline

SECONDS = 60.0
"""How long a health check may take."""


def run_health_checks(baseline: Baseline, trees: dict[str, Path]) -> str:
    """Run the health check of every component whose tree is given.

    Returns:
        Nothing where all succeeded, else one line that says what failed.
    """
    for component in baseline.components:
        tree = trees.get(component.name)
        if tree is None or not component.health:
            continue
        command = [
            part.replace("{tree}", str(tree)).replace("{python}", sys.executable)
            for part in component.health
        ]
        failure = _run(command, tree)
        if failure:
            return f"{component.name}: {failure}"
    return ""


def _run(command: list[str], tree: Path) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            cwd="/",
            # A check must not fill the sealed tree with what it caches.
            env={**os.environ, "REPOINT_TREE": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the health check did not end within {SECONDS:.0f} seconds"
    except OSError as error:
        return f"the health check {command[0]!r} cannot be started: {error.strerror}"
    if done.returncode == 0:
        return ""
    said = done.stdout.decode(errors="replace").strip().splitlines()
    last = f": {said[-1][:200]}" if said else ""
    return f"the health check ended with status {done.returncode}{last}"
