"""Only `repoint.host` reads the proc file system and runs systemd's commands."""

from __future__ import annotations

import ast
from pathlib import Path

import repoint

SOURCE = Path(repoint.__file__).parent
COMMANDS = ("systemctl", "systemd-run", "systemd-sysext")


def strings_in_code(file: Path) -> set[str]:
    """Return the strings of a file that are not docstrings or comments on attributes."""
    tree = ast.parse(file.read_text())
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
    }


def test_only_the_host_reads_the_proc_file_system() -> None:
    # The confined decoder reads its own size, and has no host. A socket whose path is too long is
    # addressed through its folder's descriptor, which reads nothing.
    allowed = {"delta/sandbox/confinement.py": "/proc/self/statm"}
    for file in SOURCE.rglob("*.py"):
        name = str(file.relative_to(SOURCE))
        for text in strings_in_code(file):
            if text.startswith("/proc") and not text.startswith("/proc/self/fd/"):
                assert name.startswith("host/") or allowed.get(name) == text, f"{name}: {text}"


def test_only_the_host_runs_commands_of_systemd() -> None:
    for file in SOURCE.rglob("*.py"):
        if not str(file.relative_to(SOURCE)).startswith("host/"):
            assert not strings_in_code(file) & {*COMMANDS}, file
