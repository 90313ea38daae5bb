"""Sessions: a browser that followed a one-time link, on behalf of an account.

A session survives the server, which stops when idle and is started again by its socket. It ends
after half a day or with a reboot. It allows viewing only; every change requires the passcode.

Browsers send cookies to every port of an address, so a cookie alone would reach the servers of
other accounts. A session has two secrets: a key that is part of its pages' paths, and a cookie that
is limited to that path. Nobody gets the cookie without the key, and neither is of use alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from repoint.page.auth.account_limits import AccountLimits
from repoint.page.page_store import PageStore

LIFETIME = 12 * 3600
"""Seconds that a session lasts."""

GRANT_LIFETIME = 600
"""Seconds that an installation's passcode also permits the restart that completes it."""

_FILE = "sessions.json"


class Session(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        uid: The account.
        began: When it began, in seconds since 1970.
        restart: Product and label that this session entered the installation's passcode for.
        granted: When it did, in seconds since 1970.
    """

    uid: int
    began: int
    restart: str = ""
    granted: int = 0


class Secrets(NamedTuple):
    """The two secrets of a session.

    Attributes:
        key: Part of the path of every page of the session.
        cookie: The value of its cookie.
    """

    key: str
    cookie: str


class _SessionsFile(msgspec.Struct, frozen=True):
    boot: str
    sessions: dict[str, Session]


class Sessions:
    """The sessions of a store. Only digests of their secrets are kept.

    Args:
        store: Holds the sessions.
        clock: Returns seconds since 1970.
        limits: How many sessions accounts may have.
        boot: Identifies the current boot of the machine.
    """

    def __init__(
        self,
        store: PageStore,
        clock: Callable[[], float],
        limits: AccountLimits,
        *,
        boot: str,
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._boot = boot
        self._lock = threading.Lock()

    def begin(self, uid: int) -> Secrets:
        """Begin a session, and return its secrets."""
        begun = Secrets(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        self._put(_digest(begun), Session(uid, self._now()))
        return begun

    def find(self, secret: Secrets) -> Session | None:
        """Return the session with these secrets. None if it does not exist or has expired."""
        return self._valid().get(_digest(secret))

    def grant_restart(self, secret: Secrets, subject: str) -> None:
        """Record that this session entered the passcode for an installation.

        Args:
            secret: The session's secrets.
            subject: Product and label of the improvement.
        """
        session = self.find(secret)
        if session is not None:
            granted = msgspec.structs.replace(session, restart=subject, granted=self._now())
            self._put(_digest(secret), granted)

    def may_restart(self, session: Session, subject: str) -> bool:
        """Return whether the passcode of an installation also permits its restart."""
        age = self._now() - session.granted
        return session.restart == subject and 0 <= age < GRANT_LIFETIME

    def _put(self, key: str, session: Session) -> None:
        with self._lock, self._store.locked():
            sessions = self._valid()
            sessions.pop(key, None)
            held = [(name, other.uid) for name, other in sessions.items()]
            for name in self._limits.to_evict(session.uid, held):
                del sessions[name]
            sessions[key] = session
            self._store.write(_FILE, _SessionsFile(self._boot, sessions))

    def _valid(self) -> dict[str, Session]:
        stored = self._store.read(_FILE, _SessionsFile)
        if stored is None or stored.boot != self._boot:
            return {}
        now = self._now()
        return {
            key: session
            for key, session in stored.sessions.items()
            if 0 <= now - session.began < LIFETIME
        }

    def _now(self) -> int:
        return int(self._clock())


def form_token(secret: Secrets) -> str:
    """Return the token that every form of a session carries, against forged requests."""
    return hmac.new(_joined(secret), b"repoint: change", hashlib.sha256).hexdigest()


def is_form_token(secret: Secrets, token: str) -> bool:
    """Return whether a form carries the token of its session."""
    return hmac.compare_digest(form_token(secret).encode(), token.encode(errors="replace"))


def _digest(secret: Secrets) -> str:
    return hashlib.sha256(_joined(secret)).hexdigest()


def _joined(secret: Secrets) -> bytes:
    return f"{secret.key}.{secret.cookie}".encode(errors="replace")
