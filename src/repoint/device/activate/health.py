"""Health checks: a component's own command decides whether an improvement stays."""

from __future__ import annotations

import sys
from pathlib import Path

from repoint.host.run import clean_environment, run
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
    result = run(
        command,
        seconds=SECONDS,
        # A check must not fill the sealed tree with what it caches.
        environment=clean_environment()
        | {"REPOINT_TREE": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        merge_output=True,
    )
    if result.failure == "timed out":
        return f"the health check did not end within {SECONDS:.0f} seconds"
    if result.failure:
        return f"the health check {command[0]!r} cannot be started: {result.detail}"
    if result.succeeded:
        return ""
    lines = result.output.strip().splitlines()
    last = f": {lines[-1][:200]}" if lines else ""
    return f"the health check ended with status {result.status}{last}"
