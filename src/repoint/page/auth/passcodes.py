"""The two kinds of passcode, and which accounts may change something.

If the server runs as root, the passcode is the password of the person's account, checked by PAM.
Otherwise it is a passcode that the person sets for this page.
"""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from repoint.host.run import run
from repoint.page.auth.errors import PasscodeUnavailableError, UnsuitablePasscodeError
from repoint.page.page_store import PageStore

SHORTEST = 6
LONGEST = 200
"""Characters. The limit bounds the work of checking one."""

ADMINISTRATORS = ("sudo", "wheel", "admin")
"""Groups whose members may change what concerns the whole system."""

_FILE = "passcode.json"
_PAM_SERVICES = ("repoint", "login")
_GETENT_SECONDS = 10.0
"""PAM services: Repoint's own if the administrator has created one, otherwise that of a login."""


class Passcode(Protocol):
    """A passcode that can be verified."""

    @property
    def kind(self) -> Literal["account", "own"]:
        """``account`` for the account's password, ``own`` for a passcode of this page."""

    def is_set(self) -> bool:
        """Return whether a passcode exists."""

    def verify(self, passcode: str) -> bool:
        """Return whether the passcode is right.

        Raises:
            PasscodeUnavailableError: The system could not check it.
        """


class _Hash(msgspec.Struct, frozen=True):
    argon2: str


@dataclass(frozen=True)
class OwnPasscode:
    """A passcode that the person has set, stored as an Argon2id hash (RFC 9106)."""

    store: PageStore
    kind: Literal["own"] = "own"

    def is_set(self) -> bool:
        """Return whether the person has set one."""
        # A damaged file counts as set: otherwise anybody could choose a new passcode.
        return (self.store.folder / _FILE).exists()

    def verify(self, passcode: str) -> bool:
        """Return whether the passcode is right; False if none is set."""
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHash, VerificationError

        stored = self.store.read(_FILE, _Hash)
        if stored is None or len(passcode) > LONGEST:
            return False
        try:
            return PasswordHasher().verify(stored.argon2, passcode)
        except (VerificationError, InvalidHash):
            return False

    def set(self, new: str, repeated: str) -> None:
        """Set the passcode.

        Raises:
            UnsuitablePasscodeError: It is too short or too long, or the repetition differs.
        """
        from argon2 import PasswordHasher

        if len(new) < SHORTEST:
            raise UnsuitablePasscodeError("short")
        if len(new) > LONGEST:
            raise UnsuitablePasscodeError("long")
        if new != repeated:
            raise UnsuitablePasscodeError("differs")
        self.store.write(_FILE, _Hash(PasswordHasher().hash(new)))


@dataclass(frozen=True)
class AccountPasscode:
    """The password of an account, checked by PAM."""

    account: str
    kind: Literal["account"] = "account"

    def is_set(self) -> bool:
        """Return True: accounts without a password are never asked for it."""
        return True

    def verify(self, passcode: str) -> bool:
        """Return whether PAM accepts the password.

        Raises:
            PasscodeUnavailableError: PAM cannot be used here.
        """
        import pam

        if len(passcode) > LONGEST or "\0" in passcode:
            return False
        authenticator = pam.PamAuthenticator()
        if authenticator.authenticate(
            self.account, passcode, service=_pam_service(), resetcreds=False
        ):
            return True
        if authenticator.code in (pam.PAM_SYSTEM_ERR, pam.PAM_AUTHINFO_UNAVAIL, pam.PAM_ABORT):
            raise PasscodeUnavailableError(
                f"PAM could not check the password: {authenticator.reason}",
                hint="See the system's journal; nothing was changed",
            )
        return False


def passcode_for(store: PageStore, uid: int, *, server: int) -> Passcode:
    """Return the passcode that an account is asked for.

    Args:
        store: Holds the passcode of the page.
        uid: The account.
        server: The account that the server runs as.
    """
    if server == 0:
        account = account_name(uid)
        # On appliances and in containers, root often has no password.
        if uid != 0 or _has_password(account):
            return AccountPasscode(account)
    return OwnPasscode(store)


def may_change(uid: int, *, server: int) -> bool:
    """Return whether an account may change what the page controls, given its passcode."""
    if uid in (0, server):
        return True
    if server != 0:
        return False
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    members = set()
    for name in ADMINISTRATORS:
        try:
            group = grp.getgrnam(name)
        except KeyError:
            continue
        members |= {*group.gr_mem} | ({user.pw_name} if user.pw_gid == group.gr_gid else set())
    return user.pw_name in members


def account_name(uid: int) -> str:
    """Return the name of an account, or its number if it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _has_password(account: str) -> bool:
    """Return whether an account has a password (man 5 shadow). Only root may read this."""
    output = run(["getent", "shadow", account], seconds=_GETENT_SECONDS).output
    password = output.split(":")[1] if output.count(":") else ""
    return bool(password) and password[0] not in "!*"


def _pam_service() -> str:
    own, fallback = _PAM_SERVICES
    exists = any(Path(folder, own).exists() for folder in ("/etc/pam.d", "/usr/lib/pam.d"))
    return own if exists else fallback
