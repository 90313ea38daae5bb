"""Checking the repository for a new improvement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from repoint.device.errors import NotTrustedError, StoreDamagedError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.fetch.network import Network
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.outcomes import Nothing
from repoint.device.store.files import damaged
from repoint.device.store.fixes import KnownFixes
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, KeptHalt
from repoint.device.store.trees.intact import Damage, describe_differences, examine, glance
from repoint.device.strategy.strategy import replaced_points
from repoint.device.update.choice import next_offer
from repoint.device.update.enrolment.recognize import DifferentTreesError, OtherComponentsError
from repoint.device.update.enrolment.supersede import supersede
from repoint.device.update.turn import halts_in_force, record_positions, without_halted
from repoint.fs.regular import NotAFileError, read_regular
from repoint.host.host import Host
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record
from repoint.model.errors import RepointError
from repoint.model.halt import Halt
from repoint.model.improvement import Improvement
from repoint.model.reopened import ClaimedFix
from repoint.repository import names
from repoint.tree.errors import UnfitTreeError


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    Attributes:
        offer: What this device should install next, or None.
        improvement: The signed record of the offer, or None.
        nothing: Why there is nothing to install, or None.
        requests: The number of HTTP requests.
        received: The number of bytes of their bodies.
        note: What a person should know besides; "" if there is nothing.
        reopens: The fixes in force here that it does not contain; a person has to accept that.
        restart: What brings the offer into force if it is staged already; "" if it is not.
    """

    offer: Offer | None
    improvement: Improvement | None
    nothing: Nothing | None
    requests: int
    received: int
    reopens: tuple[ClaimedFix, ...] = ()
    note: str = ""
    restart: str = ""


def client_for(
    state: ProductState, network: Network, on_wait: Callable[[], None] | None = None
) -> RepositoryClient:
    """Return a client of the repository that a product is enrolled with.

    Args:
        state: The product.
        network: How this device reaches repositories.
        on_wait: See `Fetcher`.
    """
    root = pinned_root(state)
    url = state.documents.enrolment().repository
    return RepositoryClient(url, state.metadata, state.downloads, root, network, on_wait)


def pinned_root(state: ProductState) -> bytes:
    """Return the trusted root that enrolment pinned.

    Raises:
        StoreDamagedError: It is missing, or something else is in its place.
    """
    path = state.path / "root.json"
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except NotAFileError:
        raise damaged(path, "it is not a file") from None


def check(state: ProductState, host: Host, network: Network, *, now: int) -> Checked:
    """Check the repository, and store its verified documents.

    If the vendor's full update has put a newer baseline in place, the device moves to it first. A
    staged improvement that is withdrawn or paused is unstaged.

    Args:
        state: The product; the store must be locked.
        host: The machine.
        network: How this device reaches repositories.
        now: Seconds since 1970.

    Raises:
        RepointError: The repository cannot be reached or is not to be trusted. The attempt is
            recorded.
    """
    client = client_for(state, network)
    note = ""
    with explained("store the repository's documents", COMPLETED_NEXT):
        try:
            damage = _damage(state)
            try:
                supersede(state, host, client, damage, now=now)
            except OtherComponentsError as error:
                note = str(error)
            except (DifferentTreesError, UnfitTreeError):
                # Of what was replaced, nothing more is known. What was changed in place may have
                # fixes all the same.
                if replaced_points(state, host):
                    raise
            update_documents(state, client)
            _require_intact(state, _damage(state) if damage else {})
        except RepointError as error:
            state.documents.record_check(now, str(error))
            raise
        note = note or _retired(state)
        state.documents.record_check(now, note=note)
        unstage_if_unavailable(state, now)
    offer = next_offer(state, user_initiated=True)
    traffic = client.fetcher.traffic
    if isinstance(offer, Nothing):
        requests, received = traffic.requests, traffic.received
        return Checked(None, None, offer, requests, received, note=note)
    improvement = state.documents.known_improvement(offer.letter)
    reopens = KnownFixes(state).reopened_by(improvement) if improvement is not None else ()
    offered = Generation.of(state.documents.enrolment().baseline, offer.letter)
    restart = state.command("restart") if state.links.staged() == offered else ""
    return Checked(
        offer, improvement, None, traffic.requests, traffic.received, reopens, note, restart
    )


def _retired(state: ProductState) -> str:
    """Return that the vendor publishes nothing more for this device's release; "" if it does."""
    catalog, name = state.documents.catalog(), state.documents.enrolment().baseline
    if catalog is None:
        return ""
    listed = next((listed for listed in catalog.baselines if listed.name == name), None)
    if listed is None or listed.retired is None:
        return ""
    why = f": {listed.retired.reason}" if listed.retired.reason else ""
    return f"The vendor has retired {name}, which gets no further improvements{why}"


def _damage(state: ProductState) -> Damage:
    active = state.links.active()
    return examine(state, active) if active is not None else {}


def _require_intact(state: ProductState, damage: Damage) -> None:
    """Refuse trees that were changed in place, and are not those of a baseline either."""
    active = state.links.active()
    if not damage or active is None:
        return
    what = "; ".join(f"{name}: {describe_differences(d)}" for name, d in damage.items())
    hint = "Reinstall the product, then run `repoint check`"
    if active.letter and not examine(state, active.baseline):
        hint = f"Undo that with {state.command('repair')}, or reinstall the product"
    raise StoreDamagedError(f"{state.name} was changed in place: {what}", hint=hint)


def changed_outside(state: ProductState, host: Host) -> list[str]:
    """Return the components that something else than Repoint has replaced or changed in place.

    This is a look at names and times, for whoever wants to know whether a check is due.
    """
    replaced = {point.component for point in replaced_points(state, host)}
    active = state.links.active()
    return sorted(replaced | (set(glance(state, active)) if active is not None else set()))


def update_documents(state: ProductState, client: RepositoryClient) -> None:
    """Store the verified documents of the repository if they may have changed.

    Raises:
        RepointError: The repository cannot be reached or is not to be trusted.
    """
    if client.has_news():
        client.refresh()
        _store_documents(state, client)
        client.record_version()


def follow_move(state: ProductState, client: RepositoryClient, *, now: int) -> None:
    """Store what the repository says about the baseline that a person has just moved to.

    The move has happened, so a failure is recorded as one of the check, and not raised.
    """
    try:
        update_documents(state, client)
    except RepointError as error:
        state.documents.record_check(now, str(error))
        return
    state.documents.record_check(now, note=_retired(state))


def _store_documents(state: ProductState, client: RepositoryClient) -> None:
    """Store the catalog, and the records of improvements, so that people see what they fix."""
    catalog, halts = read_catalog(state, client)
    state.documents.set_halts(halts)
    state.documents.set_catalog(catalog)
    record_positions(state, catalog)
    baseline = state.documents.enrolment().baseline
    offers = catalog.offers_for(baseline)
    known = [o for o in offers if o.state == "offered"][-1:]
    # A withdrawn improvement is not installed, but the faults that it fixes still exist.
    known += [o for o in offers if o.state != "offered"]
    for offer in known:
        if state.documents.known_improvement(offer.letter) is None:
            improvement = read_improvement(state, client, offer.letter)
            state.documents.add_improvement(offer.letter, improvement)
    state.documents.keep_improvements({offer.letter for offer in known})


def read_catalog(
    state: ProductState, client: RepositoryClient
) -> tuple[Catalog, tuple[KeptHalt, ...]]:
    """Download the catalog of a product; return it, and the halts that stop its letters.

    What a halt stops is paused in it.
    """
    path = names.catalog_path(state.name)
    catalog = decode_record(client.read(path), Catalog, path)
    catalog.require_sound()
    halts = halts_in_force(catalog, _read_halt(state.name, client), state.documents.halts())
    return without_halted(catalog.with_short_reasons(), halts), halts


def _read_halt(product: str, client: RepositoryClient) -> Halt | None:
    """Download the product's halts; None if it never had one."""
    path = names.halt_path(product)
    if client.find(path) is None:
        return None
    halt = decode_record(client.read(path), Halt, path)
    if halt.product != product:
        raise NotTrustedError(
            f"{path} is of the product {halt.product}", hint="Tell the vendor; nothing was changed"
        )
    return halt


def read_improvement(state: ProductState, client: RepositoryClient, letter: str) -> Improvement:
    """Download the signed record of an improvement."""
    baseline = state.documents.enrolment().baseline
    path = names.improvement_path(state.name, baseline, letter)
    return decode_record(client.read(path), Improvement, path)


def unstage_if_unavailable(state: ProductState, now: int) -> None:
    """Clear the staged letter if the vendor has withdrawn, paused or halted it."""
    staged, catalog = state.links.staged(), state.documents.catalog()
    if staged is None or catalog is None or not staged.letter:
        return
    reason = catalog.why_not_offered(state.documents.enrolment().baseline, staged.letter)
    if reason:
        state.links.clear_staged()
        state.history.add(HistoryEntry(now, "unstaged", staged.label, reason, "automatic"))
