"""``repoint fleet guard``: halt a letter that goes wrong."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import RepositoryOption, command_line
from repoint.cli.terminal import print

if TYPE_CHECKING:
    from repoint.fleet.guard.announcements import Announcement
    from repoint.fleet.guard.guard import Guard, Notify, Round

_AGAIN = 10.0
"""Seconds after which something that failed is tried again."""


class Exploited(StrEnum):
    """What happens to a letter whose fixes are exploited."""

    ALERT = "alert"
    HALT = "halt"


def guard(
    database: Annotated[
        str,
        typer.Option(
            envvar="REPOINT_FLEET_DATABASE",
            help="Where the state is: sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
        ),
    ],
    repository: RepositoryOption = Path(),
    once: Annotated[bool, typer.Option("--once", help="Look once, show it, and end.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 60,
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            envvar="REPOINT_FLEET_WEBHOOK",
            help="Post each message to this address, as JSON. May be repeated. Its variable, with "
            "spaces between addresses, keeps them from other accounts.",
        ),
    ] = None,
    mail_command: Annotated[
        str | None,
        typer.Option(help="Command that gets each message, such as 'sendmail ops@example.com'."),
    ] = None,
    exploited: Annotated[
        Exploited,
        typer.Option(help="For a letter whose fixes are exploited: alert a person, or halt."),
    ] = Exploited.ALERT,
) -> None:
    """Watch the reports of devices, and halt a letter that goes wrong, with the halt key."""
    import contextlib

    from repoint.cli.passphrases import asking
    from repoint.fleet.guard import notifications
    from repoint.fleet.guard.errors import SecondGuardError
    from repoint.fleet.guard.guard import Guard, only_guard
    from repoint.fleet.stores.errors import DatabaseAwayError
    from repoint.fleet.stores.opening import Opened
    from repoint.repository.repository import Repository

    opened = Repository.open(repository)
    ways: list[Notify] = [_notify, *map(notifications.webhook, webhook or [])]
    if mail_command is not None:
        ways.append(notifications.mail(command_line(mail_command, "--mail-command")))
    state = Opened(database)
    with contextlib.suppress(DatabaseAwayError):  # it may come back
        state()
    watching = Guard(
        opened,
        asking(),
        state,
        ways,
        halts_exploited=exploited is Exploited.HALT,
    )
    if once:
        with only_guard(opened):
            seen = watching.look()
        _show(seen)
        raise typer.Exit(1 if seen.is_troubled else 0)
    waiting = False
    while True:
        try:
            with only_guard(opened):
                print(f"Watching {opened.path}", flush=True)
                _watch(watching, every)
        except SecondGuardError as error:
            if not waiting:
                print(f"{error.message}. This one waits until it ends.", flush=True)
            waiting = True
            time.sleep(every)


def _watch(guard: Guard, every: float) -> None:
    while True:
        seen = guard.look()
        for failure in seen.failed:
            print(failure, file=sys.stderr, flush=True)
        time.sleep(min(every, _AGAIN) if seen.is_troubled else every)


def _notify(message: Announcement) -> None:
    """Write a message to the journal, and to a terminal."""
    from repoint.host.systemd.journal import NOTICE, WARNING, Journal

    fields = [
        ("PRODUCT", message.product),
        ("LABEL", message.label),
        ("PLATFORM", message.platform),
        ("GUARD", message.event),
    ]
    text = f"{message.text}. {message.hint}".strip()
    priority = NOTICE if message.event == "recovered" else WARNING
    if not Journal().log("guard", text, priority, fields) or sys.stdout.isatty():
        print(text, flush=True)


def _show(seen: Round) -> None:
    """Print what each test says."""
    for product, decisions in seen.decisions.items():
        if not decisions:
            print(f"{product}: no letter is offered")
        for decision in decisions:
            offer = decision.offer
            print(f"{product} {offer.label} for {offer.baseline}:")
            for finding in decision.findings:
                ring = f", ring {finding.ring}" if finding.ring else ""
                what = "failed" if finding.subject == "failure" else "silent"
                verdict = {"bad": "too many", "good": "good so far", "open": "too early to say"}
                print(
                    f"  {what}{ring}: {finding.bad:,} of {finding.devices:,}, "
                    f"{finding.tolerable:.1%} tolerated: {verdict[finding.verdict]}"
                )
    for failure in seen.failed:
        print(failure, file=sys.stderr)
