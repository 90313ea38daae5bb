"""Local accounts: a name, a role, and the Argon2id hash of a password (RFC 9106)."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

import msgspec

from repoint.fleet.page.auth.errors import AccountError
from repoint.page.auth.passcodes import LONGEST
from repoint.page.page_store import PageStore

Role = Literal["viewer", "operator"]
"""A viewer sees everything; an operator also changes rollouts."""

SHORTEST_PASSWORD = 12
"""Characters. NIST SP 800-63B asks for eight; what opens this page stops the fixes of a fleet."""

_FILE = "accounts.json"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}")


class Account(msgspec.Struct, frozen=True):
    """A local account."""

    name: str
    role: Role
    argon2: str

    @property
    def proof(self) -> str:
        """A value that changes with the password. A session of an earlier password has ended."""
        return hashlib.sha256(self.argon2.encode()).hexdigest()[:32]


class _AccountsFile(msgspec.Struct, frozen=True):
    accounts: dict[str, Account] = {}


@dataclass(frozen=True)
class Accounts:
    """The local accounts of a fleet page.

    Attributes:
        store: Holds them.
    """

    store: PageStore

    def all(self) -> list[Account]:
        """Return all accounts, by name.

        Raises:
            AccountError: The file is damaged.
        """
        return sorted(self._read().values(), key=lambda account: account.name)

    def find(self, name: str) -> Account | None:
        """Return an account; None if there is none of that name."""
        return self._read().get(name)

    def add(self, name: str, role: Role, password: str) -> None:
        """Add an account.

        Raises:
            AccountError: The name is taken or not allowed, or the password is too short or long.
        """
        if not _NAME.fullmatch(name):
            raise AccountError(
                f"{name[:70]!r} is not a name of an account",
                hint="Use up to 64 letters, digits and . _ @ -, and begin with a letter or a digit",
            )
        hashed = _hashed(password)
        with self.store.locked():
            accounts = self._read()
            if name in accounts:
                raise AccountError(
                    f"There is already an account {name}",
                    hint="Change it with `repoint fleet account change`",
                )
            self._write({**accounts, name: Account(name, role, hashed)})

    def change(self, name: str, role: Role | None = None, password: str | None = None) -> None:
        """Change the role or the password of an account. A new password ends its sessions.

        Raises:
            AccountError: There is no such account, or the password is too short or long.
        """
        hashed = None if password is None else _hashed(password)
        with self.store.locked():
            accounts = self._read()
            account = _require(accounts, name)
            changed = Account(name, role or account.role, hashed or account.argon2)
            self._write({**accounts, name: changed})

    def remove(self, name: str) -> None:
        """Remove an account, which ends its sessions.

        Raises:
            AccountError: There is no such account.
        """
        with self.store.locked():
            accounts = self._read()
            _require(accounts, name)
            del accounts[name]
            self._write(accounts)

    def _read(self) -> dict[str, Account]:
        file = self.store.read(_FILE, _AccountsFile)
        if file is None:
            path = self.store.folder / _FILE
            if path.exists():
                raise AccountError(f"{path} is damaged", hint="Restore it from a backup")
            return {}
        return dict(file.accounts)

    def _write(self, accounts: dict[str, Account]) -> None:
        self.store.write(_FILE, _AccountsFile(accounts))


@dataclass(frozen=True)
class AccountPassword:
    """The password of an account that may not exist.

    An unknown name takes as long to refuse as a wrong password.
    """

    account: Account | None
    kind: Literal["account"] = "account"

    def is_set(self) -> bool:
        """Return whether the account exists."""
        return self.account is not None

    def verify(self, passcode: str) -> bool:
        """Return whether the password is right."""
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHash, VerificationError

        if len(passcode) > LONGEST:
            return False
        nobody = _nobody()  # in any case: the first call takes longer
        try:
            right = PasswordHasher().verify(
                self.account.argon2 if self.account is not None else nobody, passcode
            )
        except (VerificationError, InvalidHash):
            return False
        return right and self.account is not None


def _require(accounts: dict[str, Account], name: str) -> Account:
    if name not in accounts:
        known = ", ".join(sorted(accounts)) or "none"
        raise AccountError(f"There is no account {name[:70]!r}", hint=f"Known accounts: {known}")
    return accounts[name]


def _hashed(password: str) -> str:
    from argon2 import PasswordHasher

    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(
            "The password is too short", hint=f"Use at least {SHORTEST_PASSWORD} characters"
        )
    if len(password) > LONGEST:
        raise AccountError("The password is too long", hint=f"Use at most {LONGEST} characters")
    return PasswordHasher().hash(password)


@functools.cache
def _nobody() -> str:
    from argon2 import PasswordHasher

    return PasswordHasher().hash(secrets.token_hex())
