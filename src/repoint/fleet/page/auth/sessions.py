"""Sessions: a browser that signed in, with a name and a role.

A session lasts half a day. A session of a local account also ends when the account is removed or
gets another password, and its role is always the account's own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Literal

import msgspec

from repoint.fleet.page.auth.accounts import Accounts, Role
from repoint.page.auth.sessions import LIFETIME, Secrets
from repoint.page.page_store import PageStore

_FILE = "sessions.json"
_LOCK = "sessions.lock"
"""Apart from others, so that nothing that strangers do delays who has signed in."""

_EACH = 8
"""Sessions of one person; the oldest ends first."""
_TOTAL = 1000


class Session(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        name: The account, or the person's name at the OpenID provider.
        role: What the person may do.
        began: When it began, in seconds since 1970.
        by: What the person signed in with.
        proof: Of a local account: `Account.proof` when the session began.
        subject: Of a person from the provider: `Identity.subject`.
    """

    name: str
    role: Role
    began: int
    by: Literal["account", "provider"]
    proof: str = ""
    subject: str = ""

    @property
    def person(self) -> str:
        """What tells this person from all others."""
        return f"{self.by} {self.subject or self.name}"

    @property
    def may_change(self) -> bool:
        """Whether the person may change rollouts."""
        return self.role == "operator"


class _SessionsFile(msgspec.Struct, frozen=True):
    sessions: dict[str, Session] = {}


class Sessions:
    """The sessions of a page. Only digests of their secrets are kept.

    Args:
        store: Holds the sessions.
        accounts: The local accounts.
        clock: Returns seconds since 1970.
        keyed: Whether a second secret is in the path of the session's pages.
    """

    def __init__(
        self,
        store: PageStore,
        accounts: Accounts,
        clock: Callable[[], float],
        *,
        keyed: bool,
    ) -> None:
        self._keyed = keyed
        self._store = store
        self._accounts = accounts
        self._clock = clock

    def begin(
        self, name: str, role: Role, by: Literal["account", "provider"], *, proof: str = "",
        subject: str = "",
    ) -> Secrets:  # fmt: skip
        """Begin a session, and return its secrets."""
        key = secrets.token_urlsafe(32) if self._keyed else ""
        begun = Secrets(key, secrets.token_urlsafe(32))
        session = Session(name, role, int(self._clock()), by, proof, subject)
        with self._store.locked(_LOCK):
            sessions = self._valid()
            own = [key for key, other in sessions.items() if other.person == session.person]
            excess = max(0, len(sessions) + 1 - _TOTAL)
            for key in {*own[: max(0, len(own) + 1 - _EACH)], *list(sessions)[:excess]}:
                del sessions[key]
            sessions[_digest(begun)] = session
            self._store.write(_FILE, _SessionsFile(sessions))
        return begun

    def find(self, secret: Secrets) -> Session | None:
        """Return the session with these secrets. None if it does not exist or has ended."""
        session = self._valid().get(_digest(secret))
        if session is None or session.by == "provider":
            return session
        account = self._accounts.find(session.name)
        if account is None or account.proof != session.proof:
            return None
        return msgspec.structs.replace(session, role=account.role)

    def end(self, secret: Secrets) -> None:
        """End a session."""
        with self._store.locked(_LOCK):
            sessions = self._valid()
            sessions.pop(_digest(secret), None)
            self._store.write(_FILE, _SessionsFile(sessions))

    def _valid(self) -> dict[str, Session]:
        stored = self._store.read(_FILE, _SessionsFile) or _SessionsFile()
        now = int(self._clock())
        return {
            key: session
            for key, session in stored.sessions.items()
            if 0 <= now - session.began < LIFETIME
        }


def _digest(secret: Secrets) -> str:
    return hashlib.sha256(f"{secret.key}.{secret.cookie}".encode(errors="replace")).hexdigest()
