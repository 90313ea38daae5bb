"""Asking for the passcode: what a sheet shows of it, and whether what was given is enough."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from repoint.page.auth.errors import (
    CannotAskError,
    NotGivenError,
    PasscodeUnfitError,
    Refusal,
    WrongPasscodeError,
)
from repoint.page.auth.passcodes import SHORTEST, OwnPasscode, account_name
from repoint.page.request_context import Refused, RequestContext


@dataclass(frozen=True)
class Ask:
    """What a sheet shows of the passcode.

    Attributes:
        needed: Whether it is asked for.
        is_set: Whether there is one; else the person chooses it now.
        kind: The account's own, or one for this page.
        account: The account's name.
        shortest: Characters that a new one must have.
        error: Why the last one was refused.
        wait: Seconds until another one is looked at.
    """

    needed: bool
    is_set: bool
    kind: str
    account: str
    shortest: int
    error: Markup | str
    wait: int


def ask(visit: RequestContext, refusal: Refusal | None = None, *, needed: bool = True) -> Ask:
    """What to show."""
    uid = visit.session.uid
    guard = visit.site.guard(uid)
    wait = guard.wait() if needed else 0
    return Ask(
        needed=needed,
        is_set=guard.passcode.is_set(),
        kind=guard.passcode.kind,
        account=account_name(uid),
        shortest=SHORTEST,
        error=_said(visit, refusal, wait),
        wait=wait,
    )


def require(visit: RequestContext) -> None:
    """Go on only with the right passcode; where none is set yet, the person sets it here.

    Raises:
        Refused: The account may not change anything here.
        Refusal: What was given is not enough.
    """
    uid = visit.session.uid
    if not visit.site.may_change(uid):
        raise Refused("administrator")
    guard = visit.site.guard(uid)
    if isinstance(guard.passcode, OwnPasscode) and not guard.passcode.is_set():
        guard.passcode.set(visit.form.get("new", ""), visit.form.get("repeated", ""))
        return
    given = visit.form.get("passcode", "")
    if not given:
        raise NotGivenError("No passcode was given")
    guard.require(given)


def _said(visit: RequestContext, refusal: Refusal | None, wait: int) -> Markup | str:
    words = visit.words
    match refusal:
        case WrongPasscodeError():
            if wait:
                return words("passcode.wrong and wait", span=words.span(wait))
            return words("passcode.wrong")
        case PasscodeUnfitError():
            return words(f"passcode.{refusal.why}", shortest=SHORTEST)
        case CannotAskError():
            return words("passcode.cannot ask")
        case NotGivenError() if not wait:
            return words("passcode.unset")
    return words("passcode.wait", span=words.span(wait)) if wait else ""
