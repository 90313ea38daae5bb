"""The collector: opens the stores, and serves what devices and operators ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import open_objects
from repoint.fleet.intake.app import Intake, create_app
from repoint.fleet.intake.group_commit import GroupCommit
from repoint.fleet.intake.limits import AddressLimits
from repoint.fleet.intake.listening import listen, url_of
from repoint.fleet.intake.server import Served, run
from repoint.fleet.stores.opening import open_state
from repoint.fleet.upkeep import Upkeep
from repoint.model.names import check_product


@dataclass(frozen=True)
class Settings:
    """What the operator chooses.

    Attributes:
        database: The address of the database.
        events: The folder or bucket of the events; empty for none.
        listen: Address and port for the reports of devices.
        products: The products whose reports are taken; None for all.
        limit: Reports a minute from one address; 0 for no limit.
        days: Days after which an id of which nothing was heard, and an event, are forgotten.
    """

    database: str
    listen: str = "127.0.0.1:8080"
    products: frozenset[str] | None = None
    limit: int = 600
    events: str = ""
    days: int = 90


class Collector:
    """A collector of reports."""

    def __init__(self, settings: Settings) -> None:
        """Check the settings.

        Raises:
            NameNotAllowedError: A product cannot have that name.
        """
        for product in settings.products or ():
            check_product(product)
        self._settings = settings

    def run(self, ready: Callable[[str], None], tell: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Args:
            ready: Called with the address for devices when it accepts requests.
            tell: Called with what goes wrong meanwhile.

        Raises:
            FleetStoreError: The database cannot be opened.
            EventAddressError: The address of the events is none.
            CannotListenError: The address to listen on cannot be had.
        """
        settings = self._settings
        objects = open_objects(settings.events) if settings.events else None
        with listen(settings.listen) as listener:
            state = open_state(settings.database, keeps_events=objects is not None)
            try:
                archive = Archive(state.spool(), objects) if objects is not None else None
                upkeep = Upkeep(state, archive, settings.days, tell)
                writer = GroupCommit(state)
                intake = Intake(
                    state, writer, AddressLimits(settings.limit), lambda: settings.products
                )
                served = [Served(create_app(intake), listener)]
                # Of what a request costs, the loop of the standard library is a third.
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(run(served, writer, [upkeep.run], lambda: ready(url_of(listener))))
            finally:
                state.close()
