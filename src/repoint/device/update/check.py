"""Looking whether there is something new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from repoint.device.errors import NothingToDoError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import HistoryEntry, LastCheck
from repoint.device.update.candidate import choose
from repoint.device.update.enroll import supersede
from repoint.host.host import Host
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record
from repoint.model.errors import RepointError
from repoint.model.improvement import Improvement
from repoint.repository import names


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        offer: What this device should install next, if anything.
        improvement: Its signed record.
        reason: Why there is nothing to install; empty where there is.
        requests: HTTP requests that were made.
        received: Bytes of their bodies.
    """

    offer: Offer | None
    improvement: Improvement | None
    reason: str
    requests: int
    received: int


def client_for(state: ProductState, on_wait: Callable[[], None] | None = None) -> RepositoryClient:
    """The client of the repository that a product was enrolled with; `on_wait`: see `Fetcher`."""
    root = (state.path / "root.json").read_bytes()
    return RepositoryClient(
        state.documents.enrolment().repository, state.metadata, state.downloads, root, on_wait
    )


def check(
    state: ProductState, host: Host, *, now: int, client: RepositoryClient | None = None
) -> Checked:
    """Ask the repository what it offers, and write down the answer.

    Where the vendor's full update has put a newer baseline in place, the device moves to it first.
    Only verified documents are written down. An improvement that was staged and is withdrawn or
    paused in the meantime waits no longer.

    Args:
        state: The product; the store must be locked.
        host: The machine.
        now: Seconds since 1970.
        client: A client that is at hand.

    Raises:
        RepointError: The repository cannot be reached or is not to be trusted. The attempt is
            written down.
    """
    client = client or client_for(state)
    with explained("write down what the repository says", COMPLETED_NEXT):
        try:
            supersede(state, host, client, now=now)
            if client.has_news():
                client.refresh()
                _take_catalog(state, client)
                _take_improvements(state, client)
                client.record_version()
        except RepointError as error:
            state.documents.set_last_check(LastCheck(when=now, error=str(error)))
            raise
        state.documents.set_last_check(LastCheck(when=now))
        _unstage_what_is_no_longer_offered(state, now)
    traffic = client.fetcher.traffic
    try:
        offer = next_offer(state, user_initiated=True)
    except NothingToDoError as nothing:
        return Checked(None, None, str(nothing), traffic.requests, traffic.received)
    improvement = state.documents.known_improvement(offer.letter)
    return Checked(offer, improvement, "", traffic.requests, traffic.received)


def next_offer(state: ProductState, *, user_initiated: bool) -> Offer:
    """What this device should install next, by the last verified catalog.

    Raises:
        NothingToDoError: Nothing; the error says why.
    """
    catalog = state.documents.catalog()
    active = state.links.active()
    if catalog is None or active is None:
        raise NothingToDoError(f"{state.name} was never checked", hint="Run `repoint check`")
    return choose(
        catalog,
        state.generations.baseline(active),
        active,
        state.marks.get,
        user_initiated=user_initiated,
    )


def _take_catalog(state: ProductState, client: RepositoryClient) -> None:
    path = names.catalog_path(state.name)
    catalog = decode_record(client.read(path), Catalog, path)
    state.documents.set_catalog(catalog)


def _take_improvements(state: ProductState, client: RepositoryClient) -> None:
    """Fetch the records of what is offered, so that people can read what it fixes."""
    catalog = state.documents.catalog()
    active = state.links.active()
    if catalog is None or active is None:
        return
    baseline = state.documents.enrolment().baseline
    offers = catalog.offers_for(baseline)
    # What was withdrawn is not installed, but the faults it fixes are there all the same.
    known = [o for o in offers if o.state == "offered"][-1:]
    known += [o for o in offers if o.state != "offered"]
    for offer in known:
        if state.documents.known_improvement(offer.letter) is None:
            path = names.improvement_path(state.name, baseline, offer.letter)
            improvement = decode_record(client.read(path), Improvement, path)
            state.documents.add_improvement(offer.letter, improvement)
    state.documents.keep_improvements({offer.letter for offer in known})


def _unstage_what_is_no_longer_offered(state: ProductState, now: int) -> None:
    staged, catalog = state.links.staged(), state.documents.catalog()
    if staged is None or catalog is None or not staged.letter:
        return
    why = catalog.why_not_offered(state.documents.enrolment().baseline, staged.letter)
    if why:
        state.links.clear_staged()
        state.history.add(HistoryEntry(now, "unstaged", staged.label, why))
