"""When the turn of this device comes in the rollout of an improvement.

The device decides alone, from a secret that never leaves it: see `model.rollout`. Its positions are
kept beside the catalog, so that anyone who may read the store can tell when its turn comes.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import KeptHalt
from repoint.device.store.secret import device_secret
from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog, Offer
from repoint.model.halt import Halt
from repoint.model.rollout import position


class Turns(msgspec.Struct, frozen=True):
    """When the turns of a device come.

    Attributes:
        positions: Its position for each letter that is rolled out.
        ring: Its ring; empty if it is in none.
        verified: When the catalog was last known to be current, in seconds since 1970. A device
            does not take a step that began later: it may have been stopped since.
        now: Seconds since 1970.
    """

    positions: dict[str, int]
    ring: str
    verified: int
    now: int

    def turn(self, offer: Offer) -> int | None:
        """Return when the turn comes or came, in seconds since 1970; 0 if all devices have theirs.

        None if it is not known: the vendor has not released the step yet.
        """
        if offer.rollout is None:
            return 0
        place = self.positions.get(offer.letter)
        return None if place is None else offer.rollout.turn(place, self.ring)

    def came_since_verified(self, catalog: Catalog, baseline: BaselineName) -> bool:
        """Return whether a turn has come that needs a check of the repository to be taken."""
        turns = (self.turn(offer) for offer in catalog.offers_for(baseline))
        return any(turn is not None and self.verified < turn <= self.now for turn in turns)

    def has_come(self, offer: Offer) -> bool:
        """Return whether the turn has come, by a catalog that is known to be current then."""
        turn = self.turn(offer)
        return turn is not None and turn <= min(self.now, self.verified)


def read_turns(state: ProductState, ring: str | None, now: int) -> Turns:
    """Return when the turns of this device come, by its last verified catalog.

    Args:
        state: The product.
        ring: The ring that the policy names; None for the one of the enrolment.
        now: Seconds since 1970.
    """
    return Turns(
        state.documents.positions(),
        state.documents.enrolment().ring if ring is None else ring,
        state.documents.last_verified(),
        now,
    )


def record_positions(state: ProductState, catalog: Catalog) -> None:
    """Compute and write the position of this device for each letter that is rolled out."""
    baseline = state.documents.enrolment().baseline
    rollouts = {
        offer.letter: offer.rollout
        for offer in catalog.offers_for(baseline)
        if offer.rollout is not None
    }
    if not rollouts and not state.documents.positions():
        return
    secret = device_secret(state)
    state.documents.set_positions(
        {
            letter: position(secret, state.name, baseline, rollout.seed)
            for letter, rollout in rollouts.items()
        }
    )


def halts_in_force(
    catalog: Catalog, halt: Halt | None, kept: Collection[KeptHalt]
) -> tuple[KeptHalt, ...]:
    """Return the halts that stop offers of a catalog: those seen before, and those published now.

    The key that signs halts may be stolen. It can only stop: a halt that is no longer published
    counts until the catalog, which another key signs, resumes the offer.
    """
    offers = {(offer.baseline, offer.letter): offer for offer in catalog.offers}
    found: dict[tuple[BaselineName, str], KeptHalt] = {}
    for each in kept:
        offer = offers.get((each.baseline, each.letter))
        if offer is not None and offer.resumed <= each.resumed:
            found[each.baseline, each.letter] = each
    for letter in halt.letters if halt is not None else ():
        offer = offers.get((letter.baseline, letter.letter))
        if offer is not None and letter.stops(offer):
            found[letter.baseline, letter.letter] = KeptHalt(
                letter.baseline, letter.letter, letter.since, letter.reason, offer.resumed
            )
    return tuple(found.values())


def without_halted(catalog: Catalog, halts: Collection[KeptHalt]) -> Catalog:
    """Return a catalog in which every letter that a halt stops is paused, with its reason."""
    stopped = {(halt.baseline, halt.letter): halt for halt in halts}
    offers = tuple(
        msgspec.structs.replace(offer, state="paused", since=halt.since, reason=halt.reason)
        if offer.state == "offered"
        and (halt := stopped.get((offer.baseline, offer.letter))) is not None
        else offer
        for offer in catalog.offers
    )
    return msgspec.structs.replace(catalog, offers=offers)
