"""The ways to notify people: a webhook and a mail command. Each has a bounded time."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec
import urllib3

from repoint.fleet.guard.announcements import Announcement
from repoint.fleet.guard.errors import NotificationError
from repoint.fleet.guard.guard import Notify
from repoint.model.printable import one_line

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""Environment variables of a mail command."""

SECONDS = 10
"""The time that one message may take."""


def webhook(address: str) -> Notify:
    """Return a way that posts each message as a JSON object.

    A redirection is not followed: the message would go where nobody asked for it to go.

    Args:
        address: The address, with ``https`` or ``http``.

    Raises:
        NotificationError: It is no such address.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise NotificationError(
            f"{address[:80]!r} is not the address of a webhook",
            hint="Write it as https://chat.example.com/hooks/1",
        )
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=SECONDS), retries=False)

    def post(message: Announcement) -> int:
        answer = pool.request(
            "POST",
            address,
            body=msgspec.json.encode(message),
            headers={"content-type": "application/json"},
            redirect=False,
            preload_content=False,
        )
        answer.close()
        return answer.status

    def notify(message: Announcement) -> None:
        # The timeout of a socket starts again with each byte that a slow server sends.
        thread = _Thread(lambda: post(message))
        try:
            status = thread.result(SECONDS)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NotificationError(
                f"The webhook at {parts.hostname} does not answer: {one_line(str(error))[:200]}",
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


class _Thread(threading.Thread):
    """A call that nobody waits for longer than some seconds."""

    def __init__(self, call: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: int | Exception = TimeoutError(f"no answer within {SECONDS} seconds")
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._result = self._call()
        except Exception as error:
            self._result = error

    def result(self, seconds: float) -> int:
        """Return the result of the call, or raise its error, or `TimeoutError`."""
        self.join(seconds)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result
