"""The guard in front of every change: checks the passcode and limits wrong attempts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import msgspec

from repoint.page.auth.attempts import Attempts
from repoint.page.auth.errors import (
    PasscodeUnavailableError,
    TooManyAttemptsError,
    WrongPasscodeError,
)
from repoint.page.auth.passcodes import Passcode
from repoint.page.page_store import PageStore


class _AttemptsByAccount(msgspec.Struct, frozen=True):
    accounts: dict[str, Attempts] = {}


@dataclass(frozen=True)
class PasscodeGuard:
    """Checks the passcode of one account.

    Wrong attempts are counted on disk, so that they survive the server.

    Attributes:
        store: Holds the count.
        account: The account whose attempts are counted.
        passcode: Verifies a passcode.
        clock: Returns seconds since 1970.
        file: The name of the file with the counts, which has a lock of its own.
        most: Counts in the file; the one whose wait ends first is forgotten. 0 for any number.
    """

    store: PageStore
    account: str
    passcode: Passcode
    clock: Callable[[], float]
    file: str = "attempts.json"
    most: int = 0

    def wait(self) -> int:
        """Seconds until the next passcode is checked."""
        now = int(self.clock())
        return self._read().anchored(now).wait(now)

    def require(self, passcode: str) -> None:
        """Return if the passcode is right.

        Raises:
            WrongPasscodeError: It is wrong.
            TooManyAttemptsError: It was not checked, because too many were wrong before.
            PasscodeUnavailableError: The system could not check it.
        """
        # Count first: neither a server that is killed during the check nor guesses that are checked
        # at once may save an attempt.
        before, after = self._count()
        # The check takes long, and others must not wait for it.
        try:
            right = self.passcode.verify(passcode)
        except PasscodeUnavailableError:
            self._take_back(before, after)
            raise
        if not right:
            raise WrongPasscodeError(after.delay())
        with self._locked():
            self._write(Attempts())

    def _count(self) -> tuple[Attempts, Attempts]:
        """Count an attempt; return the counts before and after."""
        with self._locked():
            now = int(self.clock())
            stored = self._read()
            before = stored.anchored(now)
            if before.wait(now):
                if before != stored:
                    self._write(before)
                raise TooManyAttemptsError(before.wait(now))
            after = before.after_wrong(now)
            self._write(after)
            return before, after

    def _take_back(self, before: Attempts, after: Attempts) -> None:
        """Take an attempt back that was not checked, but not those that others made meanwhile."""
        with self._locked():
            stored = self._read()
            fewer = Attempts(max(0, stored.wrong - 1), stored.last)
            self._write(before if stored == after else fewer)

    def _locked(self) -> AbstractContextManager[None]:
        return self.store.locked(f"{self.file.removesuffix('.json')}.lock")

    def _read(self) -> Attempts:
        return self._all().accounts.get(self.account, Attempts())

    def _write(self, attempts: Attempts) -> None:
        accounts = {**self._all().accounts, self.account: attempts}
        if attempts == Attempts():
            del accounts[self.account]
        if 0 < self.most < len(accounts):
            others = accounts.keys() - {self.account}
            del accounts[min(others, key=lambda name: accounts[name].end())]
        self.store.write(self.file, _AttemptsByAccount(accounts))

    def _all(self) -> _AttemptsByAccount:
        return self.store.read(self.file, _AttemptsByAccount) or _AttemptsByAccount()
