"""Starting a program again as the person whose it was, so that it outlives us."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.fs.durable import make_folder

_OURS = ("INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
         "NOTIFY_SOCKET", "MAINPID", "SYSTEMD_EXEC_PID", "MANAGERPID")  # fmt: skip
"""What systemd tells one service (systemd.exec(5)); another one must not believe it."""


@dataclass(frozen=True)
class Owner:
    """Whose a process is, and what it was started with.

    Attributes:
        user: Its account.
        group: Its group.
        groups: Its other groups.
        environment: Its environment.
    """

    user: int
    group: int
    groups: tuple[int, ...]
    environment: dict[str, str]


def owner_of(pid: int) -> Owner | None:
    """Whose a process is; nothing where it has ended or may not be looked at."""
    process = Path(f"/proc/{pid}")
    try:
        status = dict(
            line.split(":", 1) for line in process.joinpath("status").read_text().splitlines()
        )
        variables = process.joinpath("environ").read_bytes().split(b"\0")
    except OSError:
        return None
    pairs = (os.fsdecode(variable).partition("=") for variable in variables if b"=" in variable)
    return Owner(
        # The real ones: what a set-user-id program was given by its caller is not its owner's.
        int(status["Uid"].split()[0]),
        int(status["Gid"].split()[0]),
        tuple(int(number) for number in status["Groups"].split()),
        _without_ours({name: value for name, _, value in pairs}),
    )


def start_again(command: Sequence[str], log: Path, owner: Owner | None) -> str:
    """Start a program in a session of its own.

    Where we are a service of systemd, it is started through systemd: it would otherwise be bound
    by the hardening of our service, and end with it. Where it was another account's, it is that
    account's again, with the environment that it had.

    Args:
        command: The program and its arguments.
        log: Where what it prints is added.
        owner: Whose it was; our own where that is not known.

    Returns:
        What was started, or why it could not be.
    """
    said = shlex.join(command)
    environment = _without_ours(os.environ) if owner is None else owner.environment
    search = environment.get("PATH", os.defpath) + os.pathsep + os.environ.get("PATH", os.defpath)
    program = shutil.which(command[0], path=search)
    if program is None:
        return f"{said}: there is no such program"
    foreign = owner if owner is not None and owner.user != os.geteuid() else None
    make_folder(log.parent)
    started = [program, *command[1:]]
    if "INVOCATION_ID" in os.environ and shutil.which("systemd-run") is not None:
        return said if _through_systemd(started, log, environment, foreign) else f"{said}: failed"
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o644)) as output:
        if output.tell() == 0:
            os.fchmod(output.fileno(), 0o644)
        try:
            subprocess.Popen(
                started,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                user=foreign.user if foreign else None,
                group=foreign.group if foreign else None,
                extra_groups=foreign.groups if foreign else None,
            ).returncode = 0  # it is not ours to wait for
        except OSError as error:
            return f"{said}: {error.strerror}"
    return said


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _OURS}


def _through_systemd(
    command: Sequence[str], log: Path, environment: dict[str, str], owner: Owner | None
) -> bool:
    whose = ["--user"] if os.geteuid() != 0 else []
    if owner is not None:
        whose = [f"--uid={owner.user}", f"--gid={owner.group}"]
    variables = [f"--setenv={name}={value}" for name, value in environment.items()
                 if "\n" not in value]  # fmt: skip
    done = subprocess.run(
        [
            "systemd-run", *whose, "--quiet", "--collect", "--no-ask-password",
            f"--property=StandardOutput=append:{log}", *variables, "--", *command,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )  # fmt: skip
    return done.returncode == 0
