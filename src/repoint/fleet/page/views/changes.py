"""The sheets and forms that change a rollout: each asks first, and records who did it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from repoint.fleet.page.audit import Action, Entry
from repoint.fleet.page.figures.curves import DAY, HOUR
from repoint.fleet.page.figures.rollouts import Card, card
from repoint.fleet.page.vendor import ChangedMeanwhileError, VendorSide
from repoint.fleet.page.views.context import Context, View
from repoint.model.errors import RepointError
from repoint.model.texts import check_text
from repoint.page.auth.errors import RequestRefusedError

MAX_REASON = 200
"""Characters of a reason. People at devices read it."""

TONES: dict[Action, str] = {"pause": "warn", "resume": "good", "promote": "good", "halt": "bad"}


@dataclass(frozen=True)
class Problem:
    """Why a change was not made.

    Attributes:
        kind: ``changed`` if somebody else was faster, ``reason`` if a reason is missing, else
            ``failed``.
        text: The message of the error.
        by: What others did since the person saw the rollout.
    """

    kind: str
    text: str
    by: tuple[Entry, ...] = ()


def sheet_view(action: Action) -> View:
    """Return the view that asks before an action."""

    def view(context: Context) -> Response:
        _require_operator(context)
        shown = _card(context, context.query)
        return _sheet(context, action, shown, 200)

    return view


def change_view(action: Action) -> View:
    """Return the view that carries out an action."""

    def view(context: Context) -> Response:
        _require_operator(context)
        vendor, shown = _vendor(context), _card(context, context.form)
        reason = " ".join(context.form.get("reason", "").split())
        if reason or action == "halt":
            try:
                check_text("The reason", reason, MAX_REASON, lines=False)
            except RepointError as error:
                return _sheet(context, action, shown, 422, Problem("reason", error.message), reason)
        try:
            _carry_out(context, vendor, action, shown, reason)
        except ChangedMeanwhileError as error:
            return _sheet(
                context, action, _card(context, context.form), 409,
                Problem("changed", error.message, _since(context, shown)), reason,
            )  # fmt: skip
        except RepointError as error:
            return _sheet(context, action, shown, 409, Problem("failed", str(error)), reason)
        return RedirectResponse(context.path_of(context.product), 303)

    return view


def _carry_out(
    context: Context, vendor: VendorSide, action: Action, shown: Card, reason: str
) -> None:
    rollout = shown.rollout
    entry = Entry(
        "", 0, context.session.name, context.session.by, action, rollout.product, rollout.label,
        rollout.platform, reason, subject=context.session.subject,
    )  # fmt: skip
    with context.page.audit.recorded(entry):
        vendor.change(action, rollout, context.form.get("seen", ""), reason)


def _sheet(
    context: Context,
    action: Action,
    shown: Card,
    status: int,
    problem: Problem | None = None,
    reason: str = "",
) -> Response:
    possible = action in shown.actions
    hindrance = _vendor(context).hindrance(context.product, action) if possible else None
    return context.show(
        "change.html", status, action=action, card=shown, problem=problem, reason=reason,
        possible=possible, hindrance=hindrance, tone=TONES[action], longest=MAX_REASON,
        back=context.path_of(context.product),
    )  # fmt: skip


def _since(context: Context, shown: Card) -> tuple[Entry, ...]:
    """Return what others did with a rollout since the person saw it."""
    rollout = shown.rollout
    try:
        since = int(context.form.get("at", ""))
    except ValueError:
        since = context.now
    # A log that cannot be read cannot be written either, which refuses the change before this.
    entries, _ = context.changes([rollout.product])
    return tuple(
        entry
        for entry in entries
        if (entry.label, entry.platform) == (rollout.label, rollout.platform)
        and entry.result == "done"
        and entry.when >= since
    )[:3]


def _card(context: Context, fields: dict[str, str]) -> Card:
    vendor = _vendor(context)
    rollout = vendor.find(context.product, fields.get("label", ""), fields.get("platform", ""))
    if rollout is None:
        raise RequestRefusedError("missing", 404)
    rows = context.page.figures.adoption(context.product, 2 * HOUR)
    outcomes = context.page.figures.outcomes(context.product, context.now - 30 * DAY)
    return card(rollout, rows, outcomes, context.now)


def _vendor(context: Context) -> VendorSide:
    if context.page.vendor is None:
        raise RequestRefusedError("missing", 404)
    return context.page.vendor


def _require_operator(context: Context) -> None:
    if not context.session.may_change:
        raise RequestRefusedError("role")
