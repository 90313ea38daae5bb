"""The ways to notify people: a webhook and a mail command. Each has a bounded time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from urllib.parse import urlsplit

import h11
import msgspec

from repoint.fleet.guard.announcements import Announcement
from repoint.fleet.guard.errors import NotificationError
from repoint.fleet.guard.guard import Notify
from repoint.fleet.guard.posting import post
from repoint.model.printable import one_line

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""Environment variables of a mail command."""

SECONDS = 10
"""The time that one message may take."""


def webhook(address: str) -> Notify:
    """Return a way that posts each message as a JSON object.

    A redirection is not followed: the message would go where nobody asked for it to go.

    Args:
        address: The address, with ``https`` or ``http``. Messages do not show it: whoever knows it
            can post there.

    Raises:
        NotificationError: It is no such address.
    """
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise NotificationError(
            "What is given is not the address of a webhook",
            hint="Write it as https://chat.example.com/hooks/1",
        )

    def notify(message: Announcement) -> None:
        try:
            status = post(parts, msgspec.json.encode(message), SECONDS)
        except (OSError, ValueError, h11.RemoteProtocolError) as error:
            reason = str(error) or f"no answer within {SECONDS} seconds"
            raise NotificationError(
                f"The webhook at {parts.hostname} does not answer: {one_line(reason)[:200]}",
                hint="The message is sent again",
            ) from error
        if not 200 <= status < 300:
            raise NotificationError(
                f"The webhook at {parts.hostname} answered {status}",
                hint="The message is sent again",
            )

    return notify


def mail(command: Sequence[str]) -> Notify:
    """Return a way that gives each message to a command such as ``sendmail``, on standard input.

    Args:
        command: The program and its arguments; no shell sees them.

    Raises:
        NotificationError: The command is empty.
    """
    if not command:
        raise NotificationError(
            "The mail command is empty", hint="Write it as 'sendmail ops@example'"
        )

    def notify(message: Announcement) -> None:
        title = f"{message.product} {message.label}".strip() or "the guard"
        text = f"Subject: Repoint: {title}: {message.event}\n\n{message.text}\n\n{message.hint}\n"
        try:
            done = subprocess.run(
                command,
                input=text.encode(),
                capture_output=True,
                timeout=SECONDS,
                check=False,
                cwd="/",
                # Not the guard's own: it may hold a passphrase or the database's password.
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotificationError(
                f"The mail command failed: {one_line(str(error))[:200]}",
                hint="The message is sent again",
            ) from error
        if done.returncode != 0:
            reason = one_line(done.stderr.decode(errors="replace"))[:200]
            raise NotificationError(
                f"The mail command ended with status {done.returncode}: {reason}",
                hint="The message is sent again",
            )

    return notify
