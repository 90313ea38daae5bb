"""Run a program: an argument list, a bounded time, captured text, and the outcome as data."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Failure = Literal["", "not found", "not started", "timed out"]


class ProgramResult(msgspec.Struct, frozen=True):
    """The outcome of running a program.

    Attributes:
        command: The program and its arguments.
        status: Its exit status, negative for the signal that ended it; None if it did not start or
            did not end in time.
        output: Its standard output.
        errors: Its standard error.
        failure: Why there is no exit status; empty if there is one.
        detail: The operating system's reason, or the time limit, as a phrase.
    """

    command: tuple[str, ...]
    status: int | None = None
    output: str = ""
    errors: str = ""
    failure: Failure = ""
    detail: str = ""

    @property
    def succeeded(self) -> bool:
        """True if the program ended with status 0."""
        return self.status == 0

    @property
    def reason(self) -> str:
        """Why the program failed, in one line; empty if it succeeded."""
        if self.succeeded:
            return ""
        if self.failure == "not found":
            return f"there is no {self.command[0]}"
        if self.failure:
            return self.detail
        lines = self.errors.strip().splitlines()
        return lines[-1].strip() if lines else f"status {self.status}"


def run(
    command: Sequence[str],
    *,
    seconds: float,
    standard_input: str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    merge_output: bool = False,
) -> ProgramResult:
    """Run a program and wait until it ends.

    Args:
        command: The program and its arguments. No shell is involved.
        seconds: The time limit; the program is killed when it is exceeded.
        standard_input: Text for its standard input, which is empty by default.
        environment: Its environment; this process's own by default.
        directory: Its working directory; this process's own by default.
        merge_output: Write standard error to ``output``, in order.

    Returns:
        The outcome. No failure of the program or of the operating system is raised.
    """
    source = {"stdin": subprocess.DEVNULL} if standard_input is None else {"input": standard_input}
    try:
        done = subprocess.run(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_output else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=environment,
            cwd=directory,
            check=False,
            **source,
        )
    except subprocess.TimeoutExpired:
        detail = f"it did not end within {seconds:.0f} seconds"
        return ProgramResult(tuple(command), failure="timed out", detail=detail)
    except OSError as error:
        failure: Failure = "not found" if isinstance(error, FileNotFoundError) else "not started"
        detail = error.strerror or str(error)
        return ProgramResult(tuple(command), failure=failure, detail=detail)
    return ProgramResult(tuple(command), done.returncode, done.stdout, done.stderr or "")
