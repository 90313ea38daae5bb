"""Run a program: an argument list, a bounded time, captured text, and the outcome as data.

Programs run in the folder ``/`` with an environment that is built up here, not filtered from the
caller's: neither decides which program root runs, which code that program loads, or in what
language it answers. See ``docs/decisions/0040-what-a-child-process-gets.md``.

Most commands import this module and run no program, so its functions import `subprocess` and
`shutil`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where root finds programs. Only root can write to these folders."""

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


def clean_environment(user: int | None = None) -> dict[str, str]:
    """Return the environment for a program: where to find things, and nothing of the caller's.

    Args:
        user: The account that it runs as; by default this process's own.

    Raises:
        KeyError: There is no such account.
    """
    own = os.geteuid()
    user = own if user is None else user
    environment = {"PATH": search_path() if user == own else SYSTEM_PATH, "LANG": "C.UTF-8"}
    try:
        account = pwd.getpwuid(user)
    except KeyError:
        if user != own:
            raise
        environment["HOME"] = "/"  # a container may run as a number without a name
    else:
        environment |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name,
                        "SHELL": account.pw_shell}  # fmt: skip
    runtime = f"/run/user/{user}"  # where `systemctl --user` finds the account's systemd
    if user != 0 and Path(runtime).is_dir():
        environment["XDG_RUNTIME_DIR"] = runtime
        environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
    return environment


def search_path() -> str:
    """Return where programs are found: for root the system's folders, else the person's `PATH`."""
    return SYSTEM_PATH if os.geteuid() == 0 else os.environ.get("PATH", os.defpath)


def find_program(name: str) -> str | None:
    """Return the absolute path of a program; None if there is none, or it is not executable."""
    import shutil

    found = shutil.which(name, path=search_path())
    return os.path.abspath(found) if found else None


def start_detached(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    user: int | None = None,
) -> int:
    """Start a program that outlives this process, in a session of its own.

    Args:
        command: The program and its arguments.
        log: The file to which its output is appended. Only the account of the program can read it.
        environment: Its environment.
        user: The account that it runs as; by default this process's own.

    Returns:
        Its process id.

    Raises:
        KeyError: There is no such account.
        OSError: The log cannot be written, or the program cannot be started.
    """
    import subprocess

    rights: dict[str, Any] = {}
    if user is not None and user != os.geteuid():
        account = pwd.getpwuid(user)
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        rights = {"user": user, "group": account.pw_gid, "extra_groups": groups}
    with private_log(log, user) as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            start_new_session=True,
            **rights,
        )
    process.returncode = 0  # Nobody waits for it; this keeps Popen from warning about that.
    return process.pid


def private_log(path: Path, user: int | None = None) -> BinaryIO:
    """Open a log for appending. It has mode 0600 and belongs to the account that writes to it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        if user is not None and os.geteuid() == 0:
            os.fchown(descriptor, user, -1)
        return os.fdopen(descriptor, "ab")
    except BaseException:
        os.close(descriptor)
        raise


def run(
    command: Sequence[str],
    *,
    seconds: float,
    standard_input: str | None = None,
    environment: Mapping[str, str] | None = None,
    merge_output: bool = False,
) -> ProgramResult:
    """Run a program and wait until it ends.

    Args:
        command: The program and its arguments. No shell is involved.
        seconds: The time limit; the program is killed when it is exceeded.
        standard_input: Text for its standard input, which is empty by default.
        environment: Its environment; by default that of `clean_environment`.
        merge_output: Write standard error to ``output``, in order.

    Returns:
        The outcome. No failure of the program or of the operating system is raised.
    """
    import subprocess

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
            env=clean_environment() if environment is None else environment,
            cwd="/",
            check=False,
            **source,
        )
    except subprocess.TimeoutExpired:
        detail = f"it did not end within {seconds:.0f} seconds"
        return ProgramResult(tuple(command), failure="timed out", detail=detail)
    except ValueError as error:  # an argument that no program can be given, such as one with NUL
        return ProgramResult(tuple(command), failure="not started", detail=str(error))
    except OSError as error:
        failure: Failure = "not found" if isinstance(error, FileNotFoundError) else "not started"
        detail = error.strerror or str(error)
        return ProgramResult(tuple(command), failure=failure, detail=detail)
    return ProgramResult(tuple(command), done.returncode, done.stdout, done.stderr or "")
