"""The halt: a signed document that can only stop improvements, never offer one."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.model.baseline import BaselineName
from repoint.model.catalog import Offer
from repoint.model.names import check_product
from repoint.model.rollout import Moment
from repoint.model.texts import MAX_REASON, check_text
from repoint.model.version import Letter

Halter = Literal["person", "guard"]
"""Who halts: a person, or the program that watches what devices report."""


class HaltedLetter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An improvement that must not be installed or activated.

    Attributes:
        since: Seconds since 1970. The halt counts until the catalog resumes the offer after it.
        reason: The reason, which people at devices read.
        by: Who halted it.
    """

    baseline: BaselineName
    letter: str
    since: Moment
    reason: str
    by: Halter = "person"

    def __post_init__(self) -> None:
        Letter(self.letter)
        check_text("The reason of a halt", self.reason, MAX_REASON, lines=False)

    def stops(self, offer: Offer) -> bool:
        """Return whether it stops an offer."""
        same = (offer.baseline, offer.letter) == (self.baseline, self.letter)
        return same and offer.resumed < self.since


class Halt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All halts of a product. Without one, the document need not exist."""

    format: Literal["1.0"]
    product: str
    letters: tuple[HaltedLetter, ...] = ()

    def __post_init__(self) -> None:
        check_product(self.product)

    def halted(self, offer: Offer) -> HaltedLetter | None:
        """Return the halt that stops an offer, or None."""
        return next((letter for letter in self.letters if letter.stops(offer)), None)
