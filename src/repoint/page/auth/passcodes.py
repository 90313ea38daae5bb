"""The passcode: the account's own where the agent runs as root, else one that the person sets."""

from __future__ import annotations

import grp
import pwd
import subprocess
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from repoint.page.auth.errors import CannotAskError, PasscodeUnfitError
from repoint.page.page_store import PageStore

SHORTEST = 6
LONGEST = 200
"""Characters. Longer ones would only keep the machine busy."""

ADMINISTRATORS = ("sudo", "wheel", "admin")
"""Groups whose members may change what concerns the whole system."""

_SERVICES = ("repoint", "login")
"""PAM services: our own where an administrator has made one, else what a login asks."""


class Passcode(Protocol):
    """Tells whether a passcode is right."""

    @property
    def kind(self) -> Literal["account", "own"]:
        """The account's own, or one that was set for this page."""

    def is_set(self) -> bool:
        """Whether there is one to ask for."""

    def is_right(self, given: str) -> bool:
        """Whether this is it.

        Raises:
            CannotAskError: It cannot be told.
        """


class _Hash(msgspec.Struct, frozen=True):
    argon2: str


@dataclass(frozen=True)
class OwnPasscode:
    """A passcode that the person has set, kept as an Argon2id hash (RFC 9106)."""

    place: PageStore
    kind: Literal["own"] = "own"

    def is_set(self) -> bool:
        """Whether the person has set one."""
        # A damaged one is one: it must not be replaced by whoever comes along.
        return (self.place.folder / "passcode.json").exists()

    def is_right(self, given: str) -> bool:
        """Whether this is it; none is before one is set."""
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHashError, VerificationError

        kept = self.place.read("passcode.json", _Hash)
        if kept is None or len(given) > LONGEST:
            return False
        try:
            return PasswordHasher().verify(kept.argon2, given)
        except (VerificationError, InvalidHashError):
            return False

    def set(self, new: str, repeated: str) -> None:
        """Set it.

        Raises:
            PasscodeUnfitError: It is too short or too long, or the repetition differs.
        """
        from argon2 import PasswordHasher

        if len(new) < SHORTEST:
            raise PasscodeUnfitError("short")
        if len(new) > LONGEST:
            raise PasscodeUnfitError("long")
        if new != repeated:
            raise PasscodeUnfitError("differs")
        self.place.write("passcode.json", _Hash(PasswordHasher().hash(new)))


@dataclass(frozen=True)
class AccountPasscode:
    """The account's own, asked through PAM."""

    account: str
    kind: Literal["account"] = "account"

    def is_set(self) -> bool:
        """The account has one; accounts without are never asked this way."""
        return True

    def is_right(self, given: str) -> bool:
        """Whether PAM accepts it.

        Raises:
            CannotAskError: PAM cannot be used here.
        """
        import pam

        if len(given) > LONGEST or "\0" in given:
            return False
        asked = pam.PamAuthenticator()
        if asked.authenticate(self.account, given, service=_service(), resetcreds=False):
            return True
        if asked.code in (pam.PAM_SYSTEM_ERR, pam.PAM_AUTHINFO_UNAVAIL, pam.PAM_ABORT):
            raise CannotAskError(
                f"PAM cannot tell whether the passcode is right: {asked.reason}",
                hint="Look into the system's journal; nothing was changed",
            )
        return False


def passcode_for(place: PageStore, uid: int, *, server: int) -> Passcode:
    """Which passcode an account is asked for.

    Args:
        place: Where an own one is kept.
        uid: The account.
        server: The account that the page runs as.
    """
    if server == 0:
        account = account_name(uid)
        # Appliances and containers often have a root that nobody can log in as.
        if uid != 0 or _can_log_in(account):
            return AccountPasscode(account)
    return OwnPasscode(place)


def may_change(uid: int, *, server: int) -> bool:
    """Whether an account may change what this page is about, given its passcode."""
    if uid in (0, server):
        return True
    if server != 0:
        return False
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    groups = set()
    for name in ADMINISTRATORS:
        try:
            group = grp.getgrnam(name)
        except KeyError:
            continue
        groups |= {*group.gr_mem} | ({user.pw_name} if user.pw_gid == group.gr_gid else set())
    return user.pw_name in groups


def account_name(uid: int) -> str:
    """The name of an account; its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _can_log_in(account: str) -> bool:
    """Whether the account has a password at all (man 5 shadow); only root may look."""
    done = subprocess.run(
        ["getent", "shadow", account], capture_output=True, text=True, check=False
    )
    password = done.stdout.split(":")[1] if done.stdout.count(":") else ""
    return bool(password) and password[0] not in "!*"


def _service() -> str:
    from pathlib import Path

    own, otherwise = _SERVICES
    there = any(Path(folder, own).exists() for folder in ("/etc/pam.d", "/usr/lib/pam.d"))
    return own if there else otherwise
