"""The interface for a vendor's rollouts: each call publishes one change whole, or nothing."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from repoint.model.catalog import Offer, Urgency
from repoint.model.encoding import encode_record
from repoint.model.halt import Halt, HaltedLetter, Halter
from repoint.model.rollout import Step
from repoint.model.texts import check_reason
from repoint.publisher.catalog.catalogs import Selection, put_catalog, read_catalog, read_halts
from repoint.publisher.feeds.announce import announced
from repoint.publisher.rollout import changes
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository


class ShownRollout(msgspec.Struct, frozen=True):
    """An offer, and the halt that stops it; None if there is none."""

    offer: Offer
    halt: HaltedLetter | None


Condition = Callable[[list[ShownRollout]], None]
"""Raises an error if a change must not be made in a state."""


def _always(_: list[ShownRollout]) -> None:
    pass


class Rollouts:
    """The rollouts of a repository's products.

    Every method returns the changed offers. It raises `UnknownImprovementError` if the improvement
    was never published, and `RolloutStateError` if the change does not fit the state of one of its
    offers; then none is changed.

    Args:
        repository: The repository.
        passphrases: Returns the passphrase of a role's key file.
        clock: Returns seconds since 1970.
        condition: Called before each change with the state of the rollouts that it changes, while
            nobody else can change them. The change is not made if it raises an error.
    """

    def __init__(
        self,
        repository: Repository,
        passphrases: Passphrases,
        clock: Callable[[], int],
        condition: Condition = _always,
    ) -> None:
        self._repository = repository
        self._passphrases = passphrases
        self._clock = clock
        self._condition = condition

    def start(
        self,
        selection: Selection,
        steps: tuple[Step, ...],
        *,
        manual: bool = False,
        narrow: bool = False,
    ) -> list[Offer]:
        """Start a rollout of an offered improvement. Devices that have it keep it.

        Args:
            selection: The improvement.
            steps: The schedule: see `publisher.rollout.plan`.
            manual: Whether each step waits for `promote`, instead of for its time.
            narrow: Whether an improvement that is offered to all devices may be kept from those
                that do not have it yet.
        """
        rollout = changes.new_rollout(steps, self._clock(), manual=manual)
        return self._change(
            selection, lambda each: changes.started(_running(each), rollout, narrow=narrow)
        )

    def pause(self, selection: Selection, *, reason: str = "") -> list[Offer]:
        """Pause a rollout: no device installs the improvement, and the schedule stands still."""
        now = self._clock()
        return self._change(selection, lambda each: changes.paused(_running(each), now, reason))

    def resume(self, selection: Selection) -> list[Offer]:
        """Resume what was paused or halted, from where the schedule stood."""
        now = self._clock()
        return self._change(selection, lambda each: changes.resumed(each.offer, each.halt, now))

    def promote(self, selection: Selection) -> list[Offer]:
        """Go on to the next step now."""
        now = self._clock()
        return self._change(selection, lambda each: changes.promoted(_running(each), now))

    def finish(self, selection: Selection) -> list[Offer]:
        """Give the improvement to all devices at once."""
        return self._change(selection, lambda each: changes.finished(_running(each)))

    def halt(
        self, selection: Selection, *, reason: str, by: Halter = "person"
    ) -> list[HaltedLetter]:
        """Halt an improvement with the key of the halt role alone, and return the new halts.

        Devices neither install nor activate it until `resume`. The catalog does not change. A halt
        stays in the document after it has ended, until the same letter is halted again.
        """
        product, now = selection.product, self._clock()
        reason = check_reason(reason)
        # Whatever another command changes, it has changed before the lock is held.
        with announced(self._repository, self._passphrases) as publication:
            offers = selection.of(read_catalog(self._repository, product))
            halts = self.halts(product)
            self._condition([ShownRollout(offer, halts.halted(offer)) for offer in offers])
            for offer in offers:
                changes.require_haltable(offer, halts.halted(offer))
            # It must count even if the clock was set back since the last resumption.
            new = [
                HaltedLetter(offer.baseline, offer.letter, max(now, offer.resumed + 1), reason, by)
                for offer in offers
            ]
            replaced = {(letter.baseline, letter.letter) for letter in new}
            kept = [each for each in halts.letters if (each.baseline, each.letter) not in replaced]
            document = msgspec.structs.replace(halts, letters=(*kept, *new))
            publication.put_halt(product, encode_record(document))
        return new

    def show(self, product: str) -> list[ShownRollout]:
        """Return the state of every improvement of a product."""
        halts = self.halts(product)
        catalog = read_catalog(self._repository, product)
        return [ShownRollout(offer, halts.halted(offer)) for offer in catalog.offers]

    def urgency(self, selection: Selection) -> Urgency:
        """Return the urgency of an improvement."""
        return selection.of(read_catalog(self._repository, selection.product))[0].urgency

    def halts(self, product: str) -> Halt:
        """Return the published halts of a product."""
        return read_halts(self._repository, product)

    def _change(self, selection: Selection, change: Callable[[ShownRollout], Offer]) -> list[Offer]:
        product = selection.product
        # Whatever another command changes, it has changed before the lock is held.
        with announced(self._repository, self._passphrases) as publication:
            catalog = read_catalog(self._repository, product)
            halts = self.halts(product)
            shown = [ShownRollout(offer, halts.halted(offer)) for offer in selection.of(catalog)]
            self._condition(shown)
            changed = {each.offer: change(each) for each in shown}
            offers = tuple(changed.get(offer, offer) for offer in catalog.offers)
            put_catalog(publication, msgspec.structs.replace(catalog, offers=offers))
        return list(changed.values())


def _running(shown: ShownRollout) -> Offer:
    """Return the offer of a rollout that no halt stops.

    Raises:
        RolloutStateError: A halt stops it.
    """
    changes.require_not_halted(shown.offer, shown.halt)
    return shown.offer
