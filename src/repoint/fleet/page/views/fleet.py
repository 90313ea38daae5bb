"""The pages for viewing: the products, a product, one id, and the audit log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from repoint.fleet.page.audit import Action
from repoint.fleet.page.figures.curves import DAY, HOUR, adoption_chart, exposure_chart
from repoint.fleet.page.figures.rollouts import Card, State, card
from repoint.fleet.page.figures.summary import Summary, failure_reasons, summarize
from repoint.fleet.page.vendor import Published, Rollout, VendorSide
from repoint.fleet.page.views.context import Context
from repoint.fleet.records import Outcome

SPANS = {"1": DAY, "7": 7 * DAY, "30": 30 * DAY, "90": 90 * DAY}
"""The spans of time that the charts can show: days, and seconds."""

_DEFAULT_SPAN = "7"
_KEYS: tuple[Action, ...] = ("pause", "halt")
"""One action for each role that signs."""

_SHOWN_ACTIONS = 6
_SHOWN_ROLLOUTS = 6
_URGENCY: dict[State, int] = {"halted": 0, "paused": 1, "under way": 2}
_LONGEST = 180 * DAY
"""Seconds of a rollout that are shown."""

_STALE = 3 * HOUR
"""Seconds after which figures are called old. A fleet sends reports all the time."""

_AHEAD = 300
"""Seconds that the repository's clock may be ahead of ours before that is said."""

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ProductLine:
    """A product in the list of products."""

    name: str
    summary: Summary
    tone: str
    lead: Card | None


def products(context: Context) -> Response:
    """Show all products, or the page of the only one."""
    if len(context.products) == 1:
        return RedirectResponse(context.path_of(context.products[0]), 303)
    lines = []
    for name in context.products:
        rows = context.page.figures.adoption(name, 2 * HOUR)
        outcomes = context.page.figures.outcomes(name, context.now - 30 * DAY)
        published, _ = context.published(name)
        leads = [card(each, rows, outcomes, context.now) for each in published.rollouts[:4]]
        lead = _lead(leads, published)
        summary = summarize(rows, outcomes, published.newest)
        lines.append(ProductLine(name, summary, tone_of(lead, summary), lead))
    return context.show("products.html", lines=lines, products=context.products, product="")


def product(context: Context) -> Response:
    """Show a product: its rollouts, its curves, its failures, and who changed what."""
    figures, name, now = context.page.figures, context.product, context.now
    span = context.query.get("days", "")
    span = span if span in SPANS else _DEFAULT_SPAN
    hindrances: dict[str, str] = {}
    published, problem = context.published(name)
    rows = figures.adoption(name, SPANS[span])
    cards = [card(each, rows, [], now) for each in published.rollouts]
    leading = _leading(cards, published)
    shown = [each.rollout for each in leading]
    outcomes = figures.outcomes(name, min([now - SPANS["30"], *(_started(now, r) for r in shown)]))
    earlier = [each for each in cards if each.rollout not in shown]
    if context.page.vendor is not None and problem is None and context.session.may_change:
        hindrances = _hindrances(context.page.vendor, name)
    summary = summarize(rows, outcomes, published.newest)
    lead = _lead(cards, published)
    actions, unread = context.changes([name])
    return context.show(
        "product.html",
        products=context.products,
        product=name,
        span=span,
        spans=SPANS,
        summary=summary,
        lead=lead,
        lead_alone=lead is not None and _is_alone(lead, cards),
        tone=tone_of(lead, summary),
        cards=[_detailed(context, each, outcomes) for each in shown],
        earlier=earlier,
        adoption=adoption_chart(rows),
        exposure=exposure_chart(rows, published.fixes),
        reasons=failure_reasons(figures.failures(name, SPANS[span]), published.newest),
        actions=actions[:_SHOWN_ACTIONS],
        unread=unread,
        has_repository=context.page.vendor is not None,
        problem=problem,
        hindrances=hindrances,
        notices=_notices(context, summary, published.rollouts),
    )


def find(context: Context) -> Response:
    """Show what is known of an id."""
    wanted = context.query.get("id", "").strip().lower().replace("-", "")
    valid = bool(_ID.fullmatch(wanted))
    found = context.page.fleet.find(wanted) if valid else []
    return context.show(
        "find.html", products=context.products, product="", wanted=context.query.get("id", "")[:80],
        valid=valid, found=found,
    )  # fmt: skip


def audit(context: Context) -> Response:
    """Show who changed what, newest first."""
    actions, unread = context.changes(context.products)
    return context.show(
        "audit.html", products=context.products, product="", actions=actions, unread=unread
    )


def _hindrances(vendor: VendorSide, product: str) -> dict[str, str]:
    """Return why each action cannot work on this machine, without those that can."""
    catalog, halt = (vendor.hindrance(product, action) for action in _KEYS)
    found = dict.fromkeys(("pause", "resume", "promote"), catalog) | {"halt": halt}
    return {action: str(error) for action, error in found.items() if error is not None}


def tone_of(lead: Card | None, summary: Summary) -> str:
    """Return how urgently a product needs a person."""
    if lead is not None and lead.state in ("halted", "paused"):
        return "bad" if lead.state == "halted" else "warn"
    if not summary.devices:
        return "calm"
    return "good" if summary.current_share >= 0.95 and not summary.failed else "calm"


def _lead(cards: list[Card], published: Published) -> Card | None:
    """Return the rollout that matters most: a halted one, then one under way, then the latest.

    What a later letter has taken the place of is history, and never leads.
    """
    leading = _leading(cards, published)
    return next((each for each in leading if not published.is_superseded(each.rollout)), None)


def _leading(cards: list[Card], published: Published) -> list[Card]:
    """Return what needs eyes: the latest improvement of each platform, and what is not complete.

    A letter that was stopped needs none any more if a later one has taken its place.
    """
    latest: dict[str, Card] = {}
    for each in cards:
        latest.setdefault(each.rollout.platform, each)

    def matters(each: Card) -> bool:
        if each.state == "under way" or each is latest[each.rollout.platform]:
            return True
        return each.state in ("halted", "paused") and not published.is_superseded(each.rollout)

    # What is stopped waits for a person.
    shown = sorted(filter(matters, cards), key=lambda each: _URGENCY.get(each.state, len(_URGENCY)))
    return shown[:_SHOWN_ROLLOUTS]


def _is_alone(lead: Card, cards: list[Card]) -> bool:
    """Return whether the same improvement is in another state on another platform."""
    return any(
        each.rollout.label == lead.rollout.label and each.state != lead.state for each in cards
    )


def _detailed(context: Context, rollout: Rollout, outcomes: list[Outcome]) -> Card:
    """Return the card of a rollout with its own curve, which begins with the rollout."""
    rows = context.page.figures.adoption_since(context.product, _started(context.now, rollout))
    return card(rollout, rows, outcomes, context.now)


def _started(now: int, rollout: Rollout) -> int:
    """Return when a rollout started, but not more than half a year ago."""
    offer = rollout.shown[0].offer
    began = offer.rollout.beginning if offer.rollout is not None else offer.since
    return max(began, now - _LONGEST)


def _notices(context: Context, summary: Summary, rollouts: tuple[Rollout, ...]) -> list[str]:
    """Return what may make the figures wrong: the keys of the texts that say so."""
    notices = []
    received = context.page.figures.received(_STALE)
    changes = [each.offer.since for rollout in rollouts for each in rollout.shown]
    if max((*changes, *received), default=0) > context.now + _AHEAD:
        notices.append("clock")
    elif summary.devices and not any(received.values()):
        notices.append("stale")
    return notices
