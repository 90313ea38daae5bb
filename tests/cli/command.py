"""Running the real command in a process of its own, and what a refusal must look like."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-m", "repoint")
SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    status: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without what would change the meaning of a command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REPOINT_")}
    return {**kept, **more}


def repoint(
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
    cwd: Path | None = None,
) -> Answer:
    """Run ``repoint`` with arguments; ``before`` is called in the child, before the command."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(**(env or {})),
        preexec_fn=before,
        cwd=cwd,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def works(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed; its output."""
    answer = repoint(*arguments, env=env)
    assert answer.status == 0, answer
    return answer.out


def refusal(answer: Answer, *expected: str) -> str:
    """The one line of a refusal, which holds what is wrong and, after it, what to do next."""
    assert answer.status == 1, answer
    *before, line = answer.err.splitlines()
    # On a busy machine a command may have said how far it was.
    assert all(each.startswith("Working: ") for each in before), answer.err
    return error_line(line, answer, *expected)


def misuse(answer: Answer, *expected: str) -> str:
    """The one line that tells a person that the command was used wrongly, and where to look."""
    assert answer.status == 2, answer
    assert answer.err.count("\n") == 1, answer.err
    line = answer.err.rstrip("\n")
    assert " --help`" in line
    return error_line(line, answer, *expected)


def error_line(line: str, answer: Answer, *expected: str) -> str:
    """A line of an error: it is the command's own, and has two sentences."""
    assert line.startswith("repoint: "), answer.err
    assert "Traceback" not in answer.err
    wrong, _, hint = line.partition(". ")
    assert wrong, line
    assert hint, f"it does not say what to do next: {line}"
    for words in expected:
        assert words in line, f"{words!r} is not in {line!r}"
    assert answer.out == "", answer.out
    return line


# Written by every command that takes part, whether it succeeds or not.
NOTES = ("lock", "checked.json", "policy.json", "verified")


def everything(folder: Path, *but: str) -> dict[str, str]:
    """Every path below a folder with its type, permissions and content, to compare two moments.

    Args:
        folder: The folder; it need not exist.
        but: Names of what may change.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if set(path.relative_to(folder).parts) & {*NOTES, *but}:
            continue
        mode = path.lstat().st_mode
        content = ""
        if stat.S_ISLNK(mode):
            content = str(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes().hex()
        found[name] = f"{mode:o} {content}"
    return found
