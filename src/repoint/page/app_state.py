"""The state that one server holds: the device, sessions, links, jobs and the idle timer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.device import Device
from repoint.host.host import Host
from repoint.page.auth.account_limits import AccountLimits
from repoint.page.auth.login_links import LoginLinks
from repoint.page.auth.passcode_guard import PasscodeGuard
from repoint.page.auth.passcodes import account_name, may_change, passcode_for
from repoint.page.auth.request_checks import LINK_PATH
from repoint.page.auth.sessions import Sessions
from repoint.page.auth.turns import Turns
from repoint.page.connections import Connections
from repoint.page.idle_timeout import IdleTimer
from repoint.page.jobs import Jobs
from repoint.page.page_store import PageStore

HOST = "127.0.0.1"

_LOCK_TIMEOUT = 5
"""Seconds to wait for another command that changes the store."""


@dataclass
class AppState:
    """The state of the page of one device.

    Attributes:
        device_store: The folder of the device's store.
        port: The port on 127.0.0.1 that the page is served at.
        clock: Returns seconds since 1970.
        uid: The account that the server runs as.
        host: The machine.
    """

    device_store: Path
    port: int
    clock: Callable[[], float] = time.time
    uid: int = field(default_factory=os.geteuid)
    host: Host = field(default_factory=Host.local)

    def __post_init__(self) -> None:
        self.store = PageStore(self.device_store)
        self.links = LoginLinks(time.monotonic, AccountLimits(8, 256, self.may_change))
        self.sessions = Sessions(
            self.store,
            self.clock,
            AccountLimits(8, 256, self.may_change),
            boot=self.host.boot.identity(),
        )
        self.connections = Connections(AccountLimits(32, 256, self.may_change))
        self.clients = Connections(AccountLimits(8, 64, self.may_change))
        self.turns = Turns(self.may_change)
        self.jobs = Jobs()
        self.idle = IdleTimer(time.monotonic)

    @property
    def origin(self) -> str:
        """The page's origin, as browsers call it."""
        return f"http://{HOST}:{self.port}"

    @property
    def cookie(self) -> str:
        """The cookie's name. It contains the port, because cookies ignore ports."""
        return f"repoint-{self.port}"

    @property
    def command(self) -> str:
        """The command that opens the page."""
        return "repoint settings"

    def device(self, *, wait: float = _LOCK_TIMEOUT) -> Device:
        """Return the device.

        Args:
            wait: Seconds to wait for another command that changes the store.
        """
        return Device(self.device_store, clock=self.clock, wait=wait, host=self.host)

    def create_link(self, uid: int) -> str:
        """Create a one-time link for an account."""
        return f"{self.origin}{LINK_PATH}{self.links.create(uid)}"

    def guard(self, uid: int) -> PasscodeGuard:
        """Return the guard that checks an account's passcode."""
        passcode = passcode_for(self.store, uid, server=self.uid)
        account = account_name(uid) if passcode.kind == "account" else ""
        return PasscodeGuard(self.store, account, passcode, self.clock)

    def may_change(self, uid: int) -> bool:
        """Return whether an account may change anything on this page."""
        return may_change(uid, server=self.uid)
