"""Sessions: a browser that followed a one-time link, on behalf of an account.

A session survives the server, which stops when idle and is started again by its socket. It ends
after half a day or with a reboot. It allows viewing only; every change requires the passcode.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable

import msgspec

from repoint.page.page_store import PageStore

LIFETIME = 12 * 3600
"""Seconds that a session lasts."""

GRANT_LIFETIME = 600
"""Seconds that an installation's passcode also permits the restart that completes it."""

_MAX_SESSIONS = 50
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


class _SessionsFile(msgspec.Struct, frozen=True):
    boot: str
    sessions: dict[str, Session]


class Sessions:
    """The sessions of a store. Only digests of their secrets are kept.

    Args:
        store: Holds the sessions.
        clock: Returns seconds since 1970.
        boot: Identifies the current boot of the machine.
    """

    def __init__(self, store: PageStore, clock: Callable[[], float], *, boot: str) -> None:
        self._store = store
        self._clock = clock
        self._boot = boot
        self._lock = threading.Lock()

    def begin(self, uid: int) -> str:
        """Begin a session, and return its secret."""
        secret = secrets.token_urlsafe(32)
        self._put(_digest(secret), Session(uid, self._now()))
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the session with a secret. None if it does not exist or has expired."""
        return self._valid().get(_digest(secret))

    def grant_restart(self, secret: str, subject: str) -> None:
        """Record that this session entered the passcode for an installation.

        Args:
            secret: The session's secret.
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
            while len(sessions) >= _MAX_SESSIONS:
                del sessions[next(iter(sessions))]
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


def form_token(secret: str) -> str:
    """Return the token that every form of a session carries, against forged requests."""
    return hmac.new(secret.encode(), b"repoint: change", hashlib.sha256).hexdigest()


def is_form_token(secret: str, token: str) -> bool:
    """Return whether a form carries the token of its session."""
    return hmac.compare_digest(form_token(secret).encode(), token.encode(errors="replace"))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
