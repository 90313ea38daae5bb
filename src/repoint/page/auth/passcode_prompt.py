"""The passcode field of a sheet: what it shows, and whether the entered passcode is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from repoint.page.auth.errors import (
    PasscodeError,
    PasscodeMissingError,
    PasscodeUnavailableError,
    UnsuitablePasscodeError,
    WrongPasscodeError,
)
from repoint.page.auth.passcode_guard import PasscodeGuard
from repoint.page.auth.passcodes import SHORTEST, OwnPasscode, account_name
from repoint.page.i18n.translation import Translation


@dataclass(frozen=True)
class PasscodePrompt:
    """The passcode field of a sheet.

    Attributes:
        needed: Whether the sheet asks for a passcode.
        is_set: Whether one is set; otherwise the person chooses it now.
        kind: ``account`` for the account's password, ``own`` for a passcode of this page.
        account: The account's name.
        shortest: Minimum length of a new passcode.
        error: Why the last passcode was not accepted.
        wait: Seconds until the next passcode is checked.
    """

    needed: bool
    is_set: bool
    kind: str
    account: str
    shortest: int
    error: Markup | str
    wait: int


def passcode_prompt(
    guard: PasscodeGuard,
    uid: int,
    translate: Translation,
    error: PasscodeError | None = None,
    *,
    needed: bool = True,
) -> PasscodePrompt:
    """Return the passcode field for an account."""
    wait = guard.wait() if needed else 0
    return PasscodePrompt(
        needed=needed,
        is_set=guard.passcode.is_set(),
        kind=guard.passcode.kind,
        account=account_name(uid),
        shortest=SHORTEST,
        error=_message(translate, error, wait),
        wait=wait,
    )


def require_passcode(guard: PasscodeGuard, form: Mapping[str, str]) -> None:
    """Return if the form carries the right passcode. The first passcode is set here.

    Raises:
        PasscodeError: The passcode is not accepted.
    """
    if isinstance(guard.passcode, OwnPasscode) and not guard.passcode.is_set():
        guard.passcode.set(form.get("new", ""), form.get("repeated", ""))
        return
    passcode = form.get("passcode", "")
    if not passcode:
        raise PasscodeMissingError("No passcode was entered")
    guard.require(passcode)


def _message(translate: Translation, error: PasscodeError | None, wait: int) -> Markup | str:
    match error:
        case WrongPasscodeError():
            if wait:
                return translate("passcode.wrong and wait", span=translate.duration(wait))
            return translate("passcode.wrong")
        case UnsuitablePasscodeError():
            return translate(f"passcode.{error.reason}", shortest=SHORTEST)
        case PasscodeUnavailableError():
            return translate("passcode.cannot ask")
        case PasscodeMissingError() if not wait:
            return translate("passcode.unset")
    return translate("passcode.wait", span=translate.duration(wait)) if wait else ""
