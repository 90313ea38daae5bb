"""The collector: opens the stores, and serves what devices and operators ask for."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import uvloop

from repoint.fleet.advisories.source import Advisories
from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import open_objects
from repoint.fleet.intake.app import Intake, create_app
from repoint.fleet.intake.group_commit import GroupCommit
from repoint.fleet.intake.limits import AddressLimits
from repoint.fleet.intake.protocol import FOR_READERS, room_for_devices
from repoint.fleet.intake.server import Served, run
from repoint.fleet.interfaces import api
from repoint.fleet.interfaces.answers import Answers
from repoint.fleet.interfaces.figures import Figures
from repoint.fleet.listening import CannotListenError, listen, url_of
from repoint.fleet.outages import Outages
from repoint.fleet.stores.opening import open_state
from repoint.fleet.upkeep import Upkeep
from repoint.model.names import check_product

_SHORTEST_TOKEN = 16
"""Characters. A network can be tried without end, and nothing slows a guess down."""

_NEW_NAMES = 100
_NEW_NAMES_SECONDS = 3600.0
"""Names that no signed document names, which one address may bring in within these seconds."""


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
        admin: Address and port for programs that read; empty for none.
        token: The token that these have to send; empty for none, on loopback only.
        repository: The folder or address of the repository with the advisories; empty for none.
        otlp: The address to which figures are pushed; empty for none.
    """

    database: str
    listen: str = "127.0.0.1:8080"
    products: frozenset[str] | None = None
    limit: int = 600
    events: str = ""
    days: int = 90
    admin: str = ""
    token: str = ""
    repository: str = ""
    otlp: str = ""


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

    def run(self, ready: Callable[[str, str], None], notify: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Args:
            ready: Called when requests are accepted, with the address for devices and that for
                programs that read, which is empty if there is none.
            notify: Called with what goes wrong meanwhile.

        Raises:
            FleetStoreError: The database cannot be opened.
            EventAddressError: The address of the events is none.
            CannotListenError: An address to listen on cannot be had, or its token does not do.
            PartFailedError: A part of it has ended without being asked to.
        """
        settings = self._settings
        objects = open_objects(settings.events) if settings.events else None
        with ExitStack() as stack:
            devices = stack.enter_context(listen(settings.listen))
            readers = stack.enter_context(self._listen_to_readers()) if settings.admin else None
            advisories = Advisories(settings.repository) if settings.repository else None
            state = open_state(
                settings.database,
                keeps_events=objects is not None,
                signed=advisories.signed if advisories else lambda: None,
            )
            stack.callback(state.close)
            archive = Archive(state.spool(), objects) if objects is not None else None
            outages = Outages()
            writer = GroupCommit(state, outages, notify)
            intake = Intake(
                state,
                writer,
                AddressLimits(settings.limit),
                AddressLimits(_NEW_NAMES if settings.limit else 0, _NEW_NAMES_SECONDS),
                self._products(advisories),
                notify,
            )
            answers = Answers(state, advisories.fixes if advisories else lambda _: {})
            figures = Figures(
                answers, intake.counts, lambda: writer.queued, state.spool(), lambda: writer.fails
            )
            served = [Served(create_app(intake), devices, room_for_devices())]
            if readers is not None:
                readable = api.create_app(answers, figures, settings.token)
                served.append(Served(readable, readers, FOR_READERS))
            if settings.otlp:
                from repoint.fleet.interfaces.otlp import OtlpPush

                stack.callback(OtlpPush(figures, settings.otlp).close)
            upkeep = Upkeep(state, archive, advisories, settings.days, notify, objects, outages)

            def report_ready() -> None:
                ready(url_of(devices), url_of(readers) if readers is not None else "")

            # Of what a request costs, the loop of the standard library is a third.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run(served, writer, [upkeep.run], report_ready))

    def _listen_to_readers(self) -> socket.socket:
        token = self._settings.token
        if token and len(token) < _SHORTEST_TOKEN:
            raise CannotListenError(
                f"The token in REPOINT_FLEET_TOKEN has fewer than {_SHORTEST_TOKEN} characters",
                hint="Make one with `openssl rand -hex 16`",
            )
        listener = listen(self._settings.admin, "--admin")
        host = str(listener.getsockname()[0])
        if not token and not ipaddress.ip_address(host).is_loopback:
            listener.close()
            raise CannotListenError(
                f"{self._settings.admin} can be reached from other machines, and no token is set",
                hint="Set REPOINT_FLEET_TOKEN, or listen on 127.0.0.1",
            )
        return listener

    def _products(self, advisories: Advisories | None) -> Callable[[], frozenset[str] | None]:
        if self._settings.products is None and advisories is not None:
            return advisories.products
        return lambda: self._settings.products
