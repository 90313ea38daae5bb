"""Sessions: a browser that came by a one-time link, on behalf of an account.

They outlive the server, which ends when it is idle and is started again by its socket, but neither
half a day nor a restart of the machine. A session only looks; every change asks for the passcode.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from repoint.page.page_store import PageStore

SECONDS = 12 * 3600
"""How long a session lasts."""

GRANT_SECONDS = 600
"""How long an installation's passcode also stands for the restart that completes it."""

_MOST = 50
_FILE = "sessions.json"


class Session(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        uid: The account.
        began: When, in seconds since 1970.
        restart: Product and label whose installation this session gave the passcode for.
        granted: When it did.
    """

    uid: int
    began: int
    restart: str = ""
    granted: int = 0


class _Kept(msgspec.Struct, frozen=True):
    boot: str
    sessions: dict[str, Session]


class Sessions:
    """The sessions of a store. Only digests of their secrets are kept.

    Args:
        place: Where they are kept.
        clock: Gives seconds since 1970.
        boot: Names this run of the machine.
    """

    def __init__(
        self, place: PageStore, clock: Callable[[], float], *, boot: str | None = None
    ) -> None:
        self._place = place
        self._clock = clock
        self._boot = this_boot() if boot is None else boot
        self._lock = threading.Lock()

    def begin(self, uid: int) -> str:
        """Begin a session; returns its secret."""
        secret = secrets.token_urlsafe(32)
        self._change(_digest(secret), Session(uid, self._now()))
        return secret

    def find(self, secret: str) -> Session | None:
        """The session with that secret, if it still lasts."""
        return self._living().get(_digest(secret))

    def grant_restart(self, secret: str, what: str) -> None:
        """Remember that the passcode for an installation was given in this session."""
        session = self.find(secret)
        if session is not None:
            granted = msgspec.structs.replace(session, restart=what, granted=self._now())
            self._change(_digest(secret), granted)

    def may_restart(self, session: Session, what: str) -> bool:
        """Whether the passcode that was given for an installation also stands for its restart."""
        age = self._now() - session.granted
        return session.restart == what and 0 <= age < GRANT_SECONDS

    def _change(self, key: str, session: Session) -> None:
        with self._lock, self._place.locked():
            sessions = self._living()
            sessions.pop(key, None)
            while len(sessions) >= _MOST:
                del sessions[next(iter(sessions))]
            sessions[key] = session
            self._place.write(_FILE, _Kept(self._boot, sessions))

    def _living(self) -> dict[str, Session]:
        kept = self._place.read(_FILE, _Kept)
        if kept is None or kept.boot != self._boot:
            return {}
        now = self._now()
        return {
            key: session
            for key, session in kept.sessions.items()
            if 0 <= now - session.began < SECONDS
        }

    def _now(self) -> int:
        return int(self._clock())


def token(secret: str) -> str:
    """What a form of this session must carry: known only to pages that we gave to it."""
    return hmac.new(secret.encode(), b"repoint: change", hashlib.sha256).hexdigest()


def is_token(secret: str, given: str) -> bool:
    """Whether a form carries this session's token."""
    return hmac.compare_digest(token(secret).encode(), given.encode(errors="replace"))


def this_boot() -> str:
    """Names this run of the machine (man 5 proc); empty where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
