"""The guard at every change: asks for the passcode, counts the wrong ones, and lets them wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from repoint.page.auth.attempts import Attempts
from repoint.page.auth.errors import CannotAskError, TooManyWrongError, WrongPasscodeError
from repoint.page.auth.passcodes import Passcode
from repoint.page.page_store import PageStore

_FILE = "attempts.json"


class _Counts(msgspec.Struct, frozen=True):
    accounts: dict[str, Attempts] = {}


@dataclass(frozen=True)
class Guard:
    """Asks one account for its passcode.

    The wrong ones are counted on disk, so that ending the server forgets none of them.

    Attributes:
        place: Where they are counted.
        account: Whose they are.
        passcode: Tells whether one is right.
        clock: Gives seconds since 1970.
    """

    place: PageStore
    account: str
    passcode: Passcode
    clock: Callable[[], float]

    def wait(self) -> int:
        """Seconds until a passcode is looked at again."""
        now = int(self.clock())
        return self._attempts().anchored(now).wait(now)

    def require(self, given: str) -> None:
        """Go on only with the right passcode.

        Raises:
            WrongPasscodeError: It is wrong.
            TooManyWrongError: It was not looked at, because too many were wrong before.
            CannotAskError: It cannot be told whether it is right.
        """
        with self.place.locked():
            now = int(self.clock())
            kept = self._attempts()
            before = kept.anchored(now)
            if before.wait(now):
                if before != kept:
                    self._write(before)
                raise TooManyWrongError(before.wait(now))
            # Counted before it is looked at: whoever ends us meanwhile gains nothing.
            after = before.after_wrong(now)
            self._write(after)
            try:
                right = self.passcode.is_right(given)
            except CannotAskError:
                self._write(before)
                raise
            if not right:
                raise WrongPasscodeError(after.wait(now))
            self._write(Attempts())

    def _attempts(self) -> Attempts:
        counts = self.place.read(_FILE, _Counts) or _Counts()
        return counts.accounts.get(self.account, Attempts())

    def _write(self, attempts: Attempts) -> None:
        counts = self.place.read(_FILE, _Counts) or _Counts()
        self.place.write(_FILE, _Counts({**counts.accounts, self.account: attempts}))
