"""The catalog: the one mutable signed document of a product."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.model.baseline import BaselineName
from repoint.model.encoding import refuse_duplicates
from repoint.model.errors import InvalidRecordError
from repoint.model.names import check_product
from repoint.model.rollout import Moment, Rollout
from repoint.model.texts import MAX_REASON
from repoint.model.version import Letter, label

OfferState = Literal["offered", "paused", "withdrawn"]
Urgency = Literal["routine", "exploited"]
"""How urgent a fix is; ``exploited`` means that attacks were seen."""


_MOST_OFFERS = 10_000


class Retirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of support for a baseline: no further improvements are made for it.

    Attributes:
        since: Seconds since 1970.
        reason: The reason, which people at devices read; may be empty.
    """

    since: Moment
    reason: str = ""

    def with_short_reason(self) -> Retirement:
        """Return the retirement with a reason of at most `MAX_REASON` characters."""
        return Retirement(self.since, _shortened(self.reason))


class ListedBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A baseline in the catalog, with the seal of each component to recognise it by.

    Attributes:
        name: Its name.
        seals: The seal of each component, by the component's name.
        retired: Since when and why it is retired; None if it is not.
    """

    name: BaselineName
    seals: dict[str, str]
    retired: Retirement | None = None


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The state of one improvement.

    Attributes:
        since: When that state started, in seconds since 1970.
        reason: Why it is withdrawn or paused; may be empty.
        rollout: Who gets it when; None if everybody gets it at once.
        resumed: Halts of up to this time no longer count, in seconds since 1970.
    """

    baseline: BaselineName
    letter: str
    state: OfferState
    since: Moment
    urgency: Urgency = "routine"
    reason: str = ""
    rollout: Rollout | None = None
    resumed: Moment = 0

    def __post_init__(self) -> None:
        Letter(self.letter)

    @property
    def label(self) -> str:
        """The improvement's label, such as ``26.3.1 (a)``."""
        return label(self.baseline.version, self.letter)

    @property
    def why_not_offered(self) -> str:
        """Why it is not offered, to follow its label; empty if it is offered."""
        if self.state == "offered":
            return ""
        return f"the vendor has {self.state} it" + (f": {self.reason}" if self.reason else "")


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one mutable document of a product: its baselines and the state of its improvements."""

    format: Literal["1.0"]
    product: str
    baselines: tuple[ListedBaseline, ...] = ()
    offers: tuple[Offer, ...] = ()

    def __post_init__(self) -> None:
        check_product(self.product)

    def require_sound(self) -> None:
        """Refuse a catalog that a device should not work with.

        Raises:
            InvalidRecordError: It states an improvement twice, perhaps in two states, or more
                improvements than any vendor publishes.
        """
        if len(self.offers) > _MOST_OFFERS:
            raise InvalidRecordError(
                f"The catalog of {self.product} states {len(self.offers)} improvements, and a "
                f"catalog may state {_MOST_OFFERS}",
                hint="Tell the vendor; nothing was changed",
            )
        refuse_duplicates([f"{one.label} of {one.baseline}" for one in self.offers], "improvement")

    def with_short_reasons(self) -> Catalog:
        """Return the catalog with reasons that fit into what shows them: a terminal, a log."""
        return msgspec.structs.replace(
            self,
            baselines=tuple(
                msgspec.structs.replace(one, retired=one.retired.with_short_reason())
                if one.retired is not None
                else one
                for one in self.baselines
            ),
            offers=tuple(
                msgspec.structs.replace(one, reason=_shortened(one.reason)) if one.reason else one
                for one in self.offers
            ),
        )

    def listed(self, baseline: BaselineName) -> ListedBaseline | None:
        """Return the entry of a baseline, or None if the catalog does not list it."""
        return next((each for each in self.baselines if each.name == baseline), None)

    def offers_for(self, baseline: BaselineName) -> list[Offer]:
        """Return the offers for one baseline, in the order of their letters."""
        offers = [offer for offer in self.offers if offer.baseline == baseline]
        return sorted(offers, key=lambda offer: Letter(offer.letter))

    def offer(self, baseline: BaselineName, letter: str) -> Offer | None:
        """Return the offer of one improvement, or None if the catalog does not list it."""
        return next((o for o in self.offers if (o.baseline, o.letter) == (baseline, letter)), None)

    def why_not_offered(self, baseline: BaselineName, letter: str) -> str:
        """Return why an improvement is not offered, to follow its label; empty if it is offered."""
        offer = self.offer(baseline, letter)
        if offer is None:
            return "the vendor no longer lists it"
        return offer.why_not_offered


def _shortened(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON else f"{reason[: MAX_REASON - 1]}…"
