"""What this device should install next: rule 1 of `update.candidate`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from repoint.device.outcomes import Nothing
from repoint.device.store.fixes import KnownFixes
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, Mark
from repoint.device.update.turn import Turns
from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog, Offer
from repoint.model.improvement import Improvement
from repoint.model.reopened import ClaimedFix
from repoint.model.version import Letter

_HINTS = {
    "not its turn": ("install", "Run {} to have it now"),
    "failed here": ("history", "A later letter will be; send the vendor the output of {}"),
    "removed here": (
        "install",
        "Run {} to have it back; a later letter is installed automatically",
    ),
}
"""For a reason, what the person can do, and with which command."""

_MOST_SHOWN = 3
"""A message explains at most this many of the newest letters that are not offered."""


def next_offer(
    state: ProductState, *, user_initiated: bool, turns: Turns | None = None
) -> Offer | Nothing:
    """Return what this device should install next by the last verified catalog, or why nothing.

    Args:
        state: The product.
        user_initiated: True if a person asked, rather than the timer.
        turns: When the turns of this device come; None if it need not wait for them.
    """
    catalog = state.documents.catalog()
    active = state.links.active()
    if catalog is None or active is None:
        message = f"{state.name} was never checked"
        return Nothing("never checked", message, "Run `repoint check`")
    baseline = state.documents.enrolment().baseline
    offer = choose(
        catalog,
        baseline,
        active,
        state.marks.get,
        user_initiated=user_initiated,
        has_turn=turns.has_come if turns is not None else lambda offer: True,
    )
    if isinstance(offer, Nothing) and offer.reason in _HINTS:
        words, hint = _HINTS[offer.reason]
        return msgspec.structs.replace(offer, hint=hint.format(state.command(words)))
    last = state.documents.last_check()
    if isinstance(offer, Nothing) and offer.reason == "up to date" and last and last.error:
        return Nothing(
            "never checked",
            f"Whether {state.name} {active.label} is up to date is not known, because the last "
            "check failed",
            "Run `repoint check`",
        )
    return offer


def choose(
    catalog: Catalog,
    baseline: BaselineName,
    active: Generation,
    marks: Callable[[Generation], Mark | None],
    *,
    user_initiated: bool,
    has_turn: Callable[[Offer], bool] = lambda offer: True,
) -> Offer | Nothing:
    """Return the offer that this device should install next (rule 1), or why there is none.

    Args:
        catalog: The verified catalog.
        baseline: The device's baseline.
        active: The active generation.
        marks: Returns the mark of a generation.
        user_initiated: True if a person asked, rather than the timer.
        has_turn: Returns whether the turn of this device has come in the rollout of an offer.
    """
    offers = [o for o in catalog.offers_for(baseline) if o.state == "offered"]
    newer = [o for o in offers if not active.letter or Letter(o.letter) > Letter(active.letter)]
    if not newer:
        return _nothing_newer(catalog, baseline, active)
    reached = [offer for offer in newer if has_turn(offer)]
    if not reached:
        return Nothing(
            "not its turn",
            f"{newer[-1].label} is rolled out in steps, and the turn of this device has not come",
        )
    offer = reached[-1]
    mark = marks(Generation.of(baseline, offer.letter))
    if mark is not None and mark.kind == "failed":
        return Nothing(
            "failed here",
            f"{offer.label} failed on this device and is not tried again",
        )
    if mark is not None and mark.kind == "removed" and not user_initiated:
        return Nothing(
            "removed here",
            f"{offer.label} was removed by a person and is not installed again automatically",
        )
    return offer


def _nothing_newer(catalog: Catalog, baseline: BaselineName, active: Generation) -> Nothing:
    """Say that nothing newer is offered. After a withdrawal, that does not mean up to date."""
    offers = [offer for offer in catalog.offers_for(baseline) if offer.state != "offered"]
    own = next((offer for offer in offers if offer.letter == active.letter), None)
    gone = [
        f"{offer.label}: {offer.why_not_offered}"
        for offer in offers
        if not active.letter or Letter(offer.letter) > Letter(active.letter)
    ]
    if own is None and not gone:
        return Nothing("up to date", f"{catalog.product} {active.label} is up to date")
    hint = "A later letter is installed when the vendor publishes one"
    later = f" ({'; '.join(gone[-_MOST_SHOWN:])})" if gone else ""
    if own is None:
        message = f"Nothing is offered that is newer than {active.label}{later}"
        return Nothing("up to date", message, hint)
    why = f": {own.reason}" if own.reason else ""
    message = f"{own.label}, in force here, was {own.state}{why}"
    message += f"; nothing newer is offered{later}" if later else ""
    return Nothing("up to date", message, hint)


def refuse_reopening(
    state: ProductState, candidate: Improvement, accepted: Collection[str]
) -> Nothing | None:
    """Return why a candidate is not installed if it reopens fixes (rule 1); None if it may be.

    Args:
        state: The product.
        candidate: The signed improvement.
        accepted: The fixes that a person accepts to lose, by name.
    """
    active = state.links.active()
    reopened = KnownFixes(state, candidate).reopened_by(candidate)
    fixes = [fix for fix in reopened if fix.name not in accepted]
    if active is None or not fixes:
        return None
    options = " ".join(dict.fromkeys(f"--drop-fix {fix.name}" for fix in fixes))
    return Nothing(
        "reopens fixes",
        f"{candidate.label} does not contain {counted_fixes(fixes)} of {active.label}, which "
        f"{'is' if len(fixes) == 1 else 'are'} in force here: {', '.join(map(str, fixes))}",
        f"To install it nevertheless, run {state.command(f'install {options}')}",
    )


def counted_fixes(fixes: Sequence[ClaimedFix]) -> str:
    """Return ``a fix`` or ``3 fixes``."""
    return "a fix" if len(fixes) == 1 else f"{len(fixes)} fixes"
