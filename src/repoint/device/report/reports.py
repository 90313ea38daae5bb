"""Reports of a device, if its owner consents: `Device.reports`.

Without consent nothing is written and nothing is sent. Reports never fail an update: what they need
is read from what an update leaves on disk, after it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import msgspec

from repoint.device.os_errors import explained
from repoint.device.policy.policy import Policy
from repoint.device.policy.preferences import (
    effective_settings,
    require_free_reports,
    require_reports_address,
)
from repoint.device.report.events import Writer
from repoint.device.report.failures import failure_of
from repoint.device.report.moment import Moment
from repoint.device.report.spool import WEEK, Spool, Waiting, draw, new_nonce
from repoint.device.report.spool_file import SpoolFile
from repoint.device.status.status import Status
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.secret import device_secret, known_secret
from repoint.device.store.store import Store
from repoint.model.address import reports_address
from repoint.model.errors import RepointError
from repoint.model.report import Report
from repoint.model.report_ids import device_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.device.fetch.network import Network

Transaction = Callable[[str, str | None], AbstractContextManager[ProductState]]


class NoAddressError(RepointError):
    """Nobody has said where reports would go."""


class Reporting(msgspec.Struct, frozen=True):
    """How a product reports.

    Attributes:
        address: Where reports go; "" if none are made.
        proposed: Where they would go if the owner consents; "" if nobody has said.
        locked_by: The policy file that decides it, or "" if the owner does.
        device: The id of the device in a managed fleet; "" if it is in none.
        waiting: The reports that wait, as they would be sent now, oldest first.
        next_count: When the next weekly count is made, in seconds since 1970; 0 for never.
        answer: How the last attempt to send ended; "" if there was none.
        answered: When that was, in seconds since 1970.
        retry: The earliest next attempt, in seconds since 1970; 0 for the next update run.
        deleting: The addresses that are still to delete what they got.
    """

    address: str
    proposed: str
    locked_by: str
    device: str
    waiting: tuple[Report, ...] = ()
    next_count: int = 0
    answer: str = ""
    answered: int = 0
    retry: int = 0
    deleting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reports:
    """The reports of a device. Methods take the name of a product, or None for the only one.

    Args:
        store: The store.
        policy: Returns the policy that is in force.
        transaction: Begins a transaction on a product; takes the command and the product.
        moment: Returns the present moment.
        network: Returns how this device reaches servers.
        rng: The source of chance.
    """

    store: Store
    policy: Callable[[], Policy]
    transaction: Transaction
    moment: Callable[[], Moment]
    network: Callable[[], Network]
    rng: random.Random = field(default_factory=random.SystemRandom)

    def reporting(self, product: str | None) -> Reporting:
        """Return how a product reports. Changes nothing."""
        state, policy = self.store.one(product), self.policy()
        moment, file = self.moment(), SpoolFile(state)
        spool, settings = file.read(), state.documents.settings()
        effective = effective_settings(settings, policy)
        on = bool(effective.reports) and spool.address == effective.reports
        start = spool.minute * 60 + (spool.counted + 1) * WEEK
        return Reporting(
            effective.reports,
            settings.reports_to or _named_by_vendor(state),
            effective.reports_locked_by,
            file.device(),
            tuple(filter(None, (each.at(moment) for each in spool.waiting))) if on else (),
            max(start, moment.now) if on else 0,
            spool.answer if on else "",
            spool.answered if on else 0,
            spool.delays.retry if on else 0,
            tuple(deletion.address for deletion in spool.deletions),
        )

    def preview(self, product: str | None, status: Status) -> tuple[Report, ...]:
        """Return what would be sent now: what waits, and the next weekly count. Changes nothing.

        Without consent, it is what would be sent with it.
        """
        state = self.store.one(product)
        spool, secret = SpoolFile(state).read(), known_secret(state)
        address = self._address(state)
        writer = self._writer(state, secret or b"")
        waiting: tuple[Waiting, ...] = ()
        if address and spool.address == address and secret is not None:
            waiting = writer.with_history(spool).waiting
        reports = [report for each in waiting if (report := each.at(writer.moment)) is not None]
        if not any(report.kind == "count" for report in reports):
            reports.append(writer.count(status, spool.nonce or new_nonce(self.rng)))
        return tuple(reports)

    def turn_on(self, product: str | None, address: str = "") -> str:
        """Record that the owner consents, and return where reports go.

        Args:
            product: The product.
            address: Where; "" for the address that was named before, or by the vendor.

        Raises:
            NoAddressError: No address is known.
            PolicyForbidsError: The policy decides whether and where.
            AddressError: The address is malformed or not encrypted.
        """
        proposed = address or self.reporting(product).proposed
        if not proposed:
            raise NoAddressError(
                "It is not known where reports would go",
                hint="Name the address that your fleet gave you: "
                "`repoint settings reports https://fleet.example.org`",
            )
        parsed = self.require_permission(proposed)
        with self.transaction("repoint settings", product) as state:
            self._set(state, reports=True, reports_to=parsed)
            device_secret(state)
        self.note(state.name)
        return parsed

    def require_permission(self, address: str) -> str:
        """Return the address in its one form, if the owner may let reports go there.

        Raises:
            PolicyForbidsError: The policy decides whether and where.
            AddressError: The address is malformed or not encrypted.
        """
        policy = self.policy()
        require_free_reports(policy)
        parsed = str(reports_address(address))
        require_reports_address(parsed, policy)
        return parsed

    def turn_off(self, product: str | None) -> None:
        """Record that the owner does not consent any more. What waits is dropped at once.

        `send` asks the fleet to delete what it got.

        Raises:
            PolicyForbidsError: The policy decides it.
        """
        require_free_reports(self.policy())
        with self.transaction("repoint settings", product) as state:
            self._set(state, reports=False)
        self.note(state.name)

    def join(self, product: str, token: str) -> None:
        """Make the id of this device in the fleet that has given it a token."""
        with self.transaction("repoint enroll", product) as state:
            secret = device_secret(state)
            SpoolFile(state).set_device(device_id(secret, state.name, token))

    def note(self, product: str, status: Status | None = None) -> None:
        """Note what has happened since the last time, and the weekly count if it is due.

        Args:
            product: The product.
            status: The status, by someone who sees all processes; None for no count.
        """
        state, policy = self.store.product(product), self.policy()
        settings = effective_settings(state.documents.settings(), policy)
        file = SpoolFile(state)
        if policy.problem and not settings.reports:
            return  # nobody knows what the administrator wants, so nothing is made or deleted
        if not settings.reports and not file.read().is_needed:
            return
        secret = self._secret(state) if settings.reports else b""
        with file.changing() as change:
            spool = self._turned(state, change.spool, settings.reports, file.device())
            if settings.reports:
                writer = self._writer(state, secret)
                spool = writer.with_history(spool).without_old(writer.moment)
                spool = spool if status is None else writer.with_count(spool, status)
            change.spool = spool

    def note_failure(self, product: str, letter: str, error: RepointError) -> None:
        """Note that a letter could not be installed, if that says anything about it."""
        failure = failure_of(error)
        state = self.store.product(product)
        settings = effective_settings(state.documents.settings(), self.policy())
        if failure is None or not settings.reports:
            return
        secret, file = self._secret(state), SpoolFile(state)
        with file.changing() as change:
            spool = self._turned(state, change.spool, settings.reports, file.device())
            writer = self._writer(state, secret)
            change.spool = writer.with_failure(writer.with_history(spool), letter, failure)

    def is_count_due(self, product: str) -> bool:
        """Return whether the weekly count is due."""
        spool = SpoolFile(self.store.product(product)).read()
        return spool.is_count_due(self.moment().now)

    def send(self, product: str, *, now: bool = False) -> bool:
        """Send what waits, and ask for deletions that are owed: see `sending`.

        Args:
            product: The product.
            now: True to wait for no delay: a person asks.

        Returns:
            False if a server did not do its part.
        """
        from repoint.device.report.sending import Sending

        state = self.store.product(product)
        if not SpoolFile(state).read().is_needed:
            return True
        if self.policy().problem and not self._address(state):
            return True
        return Sending(SpoolFile(state), self.network(), self.moment, self.rng).send(now=now)

    def leave(self, product: str) -> Callable[[], bool]:
        """Return what asks the fleets, once, to delete what they got from a product that goes."""
        from repoint.device.report.sending import ask_to_delete

        file = SpoolFile(self.store.product(product))
        spool = file.read().turned(
            "", history=0, device=file.device(), draw=draw(self.moment().now, self.rng)
        )

        def ask() -> bool:
            network = self.network()
            return all(ask_to_delete(network, deletion) for deletion in spool.deletions)

        return ask

    def _address(self, state: ProductState) -> str:
        return effective_settings(state.documents.settings(), self.policy()).reports

    def _secret(self, state: ProductState) -> bytes:
        secret = known_secret(state)
        if secret is None:
            with self.transaction("repoint report", state.name) as locked:
                secret = device_secret(locked)
        return secret

    def _turned(self, state: ProductState, spool: Spool, address: str, device: str) -> Spool:
        if spool.address == address:
            return spool
        entries = len(state.history.entries())
        drawn = draw(self.moment().now, self.rng)
        return spool.turned(address, history=entries, device=device, draw=drawn)

    def _writer(self, state: ProductState, secret: bytes) -> Writer:
        ring = self.policy().rules.ring
        ring = state.documents.enrolment().ring if ring is None else ring
        return Writer(state, ring, SpoolFile(state).device(), secret, self.moment(), self.rng)

    def _set(self, state: ProductState, **changes: object) -> None:
        settings = msgspec.structs.replace(state.documents.settings(), **changes)
        with explained(f"store the settings of {state.name}"):
            state.documents.set_settings(settings)


def _named_by_vendor(state: ProductState) -> str:
    baseline = Generation.of(state.documents.enrolment().baseline)
    about = state.generations.baseline(baseline).about
    return about.reports if about is not None else ""
