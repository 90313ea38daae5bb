"""What the pages work with: one site for each server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.device import Device
from repoint.page.auth.login_links import Links
from repoint.page.auth.passcode_guard import Guard
from repoint.page.auth.passcodes import account_name, may_change, passcode_for
from repoint.page.auth.sessions import Sessions
from repoint.page.idle_timeout import Idle
from repoint.page.jobs import Jobs
from repoint.page.page_store import PageStore

HOST = "127.0.0.1"


@dataclass
class AppState:
    """A device's page.

    Attributes:
        store: The device's store.
        port: Where the page is served, at 127.0.0.1.
        clock: Gives seconds since 1970.
        uid: The account that the server runs as.
    """

    store: Path
    port: int
    clock: Callable[[], float] = time.time
    uid: int = field(default_factory=os.geteuid)

    def __post_init__(self) -> None:
        self.place = PageStore(self.store)
        self.links = Links(time.monotonic)
        self.sessions = Sessions(self.place, self.clock)
        self.jobs = Jobs()
        self.idle = Idle(time.monotonic)

    @property
    def origin(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.port}"

    @property
    def cookie(self) -> str:
        """The cookie's name. Browsers do not keep the ports of an address apart."""
        return f"repoint-{self.port}"

    @property
    def command(self) -> str:
        """What a person types to open the page."""
        return "repoint settings"

    def device(self) -> Device:
        """The device; others that are at work are not waited for long."""
        return Device(self.store, clock=self.clock, wait=5)

    def link(self, uid: int) -> str:
        """Make a one-time link for an account."""
        return f"{self.origin}/open/{self.links.make(uid)}"

    def guard(self, uid: int) -> Guard:
        """The guard that asks an account for its passcode."""
        passcode = passcode_for(self.place, uid, server=self.uid)
        account = account_name(uid) if passcode.kind == "account" else ""
        return Guard(self.place, account, passcode, self.clock)

    def may_change(self, uid: int) -> bool:
        """Whether an account may change anything here at all."""
        return may_change(uid, server=self.uid)
