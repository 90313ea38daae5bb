"""Whether the vendor still offers a letter: looked at again before it is staged or activated.

Hours may pass between a check and the activation, and the vendor may have stopped the letter
meanwhile. A look before an activation has bounded time, and changes nothing but what is staged. If
the repository cannot be asked in that time, the last check counts: an attacker on the network must
not hold a fix off. A rollout that is under way is the exception, because it may have been halted:
its letters are activated only while the last check is recent enough to rule that out for the time
that the vendor states, a day.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from repoint.device.errors import NoNetworkError, StaleRepositoryError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.fetch.network import Network
from repoint.device.outcomes import Nothing
from repoint.device.store.freshness import is_stale
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import HistoryEntry
from repoint.device.update.check import pinned_root, read_catalog, update_documents
from repoint.fs.removal import remove_tree
from repoint.model.catalog import Catalog, Offer
from repoint.model.errors import RepointError

PATIENCE = 10.0
"""Seconds that a restart waits for the repository."""

_RECENT = 60
"""Seconds after a successful check in which no second look is taken."""


def is_still_offered(state: ProductState, client: RepositoryClient, offer: Offer, now: int) -> bool:
    """Look again whether the vendor still offers a letter, which a download may outlast.

    Without a network, what is not under way in a rollout goes on by the last check.

    Raises:
        RepointError: The repository is not to be trusted, or cannot be reached although the letter
            is being rolled out.
    """
    try:
        update_documents(state, client)
    except NoNetworkError:
        if offer.rollout is not None and offer.rollout.is_under_way(now):
            raise
    catalog = state.documents.catalog()
    return catalog is None or not catalog.why_not_offered(offer.baseline, offer.letter)


def unstage_if_stopped(
    state: ProductState, network: Callable[[str], Network], *, now: int, seconds: float = PATIENCE
) -> Nothing | None:
    """Look whether the vendor has stopped the staged letter since the last check; unstage it then.

    Args:
        state: The product; the store must be locked.
        network: Returns how this device reaches a repository.
        now: Seconds since 1970.
        seconds: How long to wait for the repository at most.

    Returns:
        Why nothing is staged any more; None if what is staged may be activated.

    Raises:
        StaleRepositoryError: The letter is being rolled out, and whether it was halted cannot be
            known. It stays staged.
    """
    staged, catalog = state.links.staged(), state.documents.catalog()
    if staged is None or not staged.letter or catalog is None:
        return None
    if 0 <= now - state.documents.last_verified() < _RECENT:
        return None
    baseline = state.documents.enrolment().baseline
    offer = catalog.offer(baseline, staged.letter)
    try:
        current = _current_catalog(state, network, seconds) or catalog
    except RepointError as error:
        rollout = offer.rollout if offer is not None else None
        if rollout is not None and rollout.is_under_way(now) and is_stale(state, now):
            raise StaleRepositoryError(
                f"{staged.label} stays staged: it is being rolled out in steps, and whether the "
                f"vendor has halted it cannot be known. {error.message}",
                hint="Try again when the repository can be reached",
            ) from error
        return None
    reason = current.why_not_offered(baseline, staged.letter)
    if not reason:
        return None
    # Only what concerns this letter is taken over; the next check stores the rest.
    stopped = current.offer(baseline, staged.letter)
    offers = tuple(
        stopped if each == offer else each
        for each in catalog.offers
        if each != offer or stopped is not None
    )
    state.documents.set_catalog(msgspec.structs.replace(catalog, offers=offers))
    state.links.clear_staged()
    state.history.add(HistoryEntry(now, "unstaged", staged.label, reason, "automatic"))
    return Nothing(
        "no longer offered",
        f"{staged.label} does not come into force, because {reason}",
        "See `repoint status`",
    )


def _current_catalog(
    state: ProductState, network: Callable[[str], Network], seconds: float
) -> Catalog | None:
    """Return the repository's verified catalog; None if it is still the last verified one.

    Neither a slow server nor a name that resolves slowly can hold this up: a thread asks, in a copy
    of the verified metadata. What it still does after its time has no effect.

    Raises:
        RepointError: The repository cannot be asked in time, or is not to be trusted.
    """
    url = state.documents.enrolment().repository
    root = pinned_root(state)
    answer: list[Catalog | RepointError | None] = []
    try:
        folder = Path(tempfile.mkdtemp(prefix=".new-look-", dir=state.path))
        shutil.copytree(state.metadata, folder / "metadata", symlinks=True)
    except OSError as error:
        raise NoNetworkError(f"The store cannot be written: {error.strerror}") from error
    how = network(url)

    def ask() -> None:
        client = RepositoryClient(url, folder / "metadata", folder / "downloads", root, how)
        try:
            answer.append(read_catalog(state, client)[0] if client.has_news() else None)
        except RepointError as error:
            answer.append(error)
        except OSError as error:
            answer.append(NoNetworkError(f"The repository could not be asked: {error}"))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(max(seconds, 0.0))
    with contextlib.suppress(OSError):  # the next command removes it
        remove_tree(folder)
    found = answer[0] if answer else None
    if not answer:
        raise NoNetworkError(f"The repository at {url} did not answer within {seconds:.0f} seconds")
    if isinstance(found, RepointError):
        raise found
    return found
