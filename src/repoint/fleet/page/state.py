"""What one fleet page holds: the fleet's state, the repository, accounts, sessions, audit log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repoint.fleet.page.audit import Audit
from repoint.fleet.page.auth.accounts import Accounts
from repoint.fleet.page.auth.address import Address
from repoint.fleet.page.auth.budget import PER_MINUTE, Budget
from repoint.fleet.page.auth.oidc import Provider
from repoint.fleet.page.auth.sessions import Sessions
from repoint.fleet.page.auth.sign_in import PendingSignIns, SignIn
from repoint.fleet.page.recent import RecentFigures
from repoint.fleet.page.vendor import VendorSide
from repoint.fleet.records import FleetState
from repoint.page.page_store import PageStore
from repoint.repository.errors import RepositoryError

_AUDIT = "audit.jsonl"
_MOST_PEOPLE = 1000


@dataclass
class PageState:
    """The state of the page of one fleet.

    Attributes:
        fleet: What the devices have reported.
        folder: Holds accounts, sessions and the audit log.
        address: Where the page is served.
        vendor: The repository; None if this machine has none.
        provider: The OpenID provider; None if there is none.
        clock: Returns seconds since 1970.
    """

    fleet: FleetState
    folder: Path
    address: Address
    vendor: VendorSide | None = None
    provider: Provider | None = None
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        store = PageStore(self.folder)
        self.accounts = Accounts(store)
        self.sessions = Sessions(store, self.accounts, self.clock, keyed=not self.address.secure)
        self.sign_in = SignIn(store, self.accounts, self.clock)
        self.pending = PendingSignIns(time.monotonic)
        self.budget = Budget(PER_MINUTE, 60, _MOST_PEOPLE)
        self.figures = RecentFigures(self.fleet, self.now)
        self.audit = Audit(store.folder / _AUDIT, self.clock)

    def now(self) -> int:
        """Return seconds since 1970."""
        return int(self.clock())

    def products(self) -> list[str]:
        """Return the products that devices report or the repository holds."""
        known = set(self.fleet.products())
        if self.vendor is not None:
            # Without the repository, there is still what devices report.
            with contextlib.suppress(RepositoryError):
                known |= set(self.vendor.products())
        return sorted(known)


def accounts_of(folder: Path) -> Accounts:
    """Return the accounts of a page, for commands."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Accounts(PageStore(folder))
