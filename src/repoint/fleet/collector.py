"""The collector: opens the stores, and serves what devices and operators ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from repoint.fleet.intake.app import Intake, create_app
from repoint.fleet.intake.group_commit import GroupCommit
from repoint.fleet.intake.limits import AddressLimits
from repoint.fleet.intake.listening import listen, url_of
from repoint.fleet.intake.server import Served, run
from repoint.fleet.stores.opening import open_state
from repoint.model.names import check_product


@dataclass(frozen=True)
class Settings:
    """What the operator chooses.

    Attributes:
        database: The address of the database.
        listen: Address and port for the reports of devices.
        products: The products whose reports are taken; None for all.
        limit: Reports a minute from one address; 0 for no limit.
    """

    database: str
    listen: str = "127.0.0.1:8080"
    products: frozenset[str] | None = None
    limit: int = 600


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

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Args:
            ready: Called with the address for devices when it accepts requests.

        Raises:
            FleetStoreError: The database cannot be opened.
            CannotListenError: The address to listen on cannot be had.
        """
        settings = self._settings
        with listen(settings.listen) as listener:
            state = open_state(settings.database)
            try:
                writer = GroupCommit(state)
                intake = Intake(
                    state, writer, AddressLimits(settings.limit), lambda: settings.products
                )
                served = [Served(create_app(intake), listener)]
                asyncio.run(run(served, writer, [], lambda: ready(url_of(listener))))
            finally:
                state.close()
