"""``repoint settings``: the Settings page, and settings in the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.opening import open_device, store_path
from repoint.cli.options import JsonOption, ProductOption, StoreOption
from repoint.cli.terminal import print
from repoint.model.errors import RepointError

if TYPE_CHECKING:
    from repoint.device.device import Device

_SYSTEM = Path("/var/lib/repoint")


class NoTerminalError(RepointError):
    """A question needs a terminal, and there is none."""


def settings(
    name: Annotated[
        str | None,
        typer.Argument(help="The setting: automatic, reports or passcode.", show_default=False),
    ] = None,
    value: Annotated[
        str | None,
        typer.Argument(
            help="on or off; for reports also the address of a fleet.", show_default=False
        ),
    ] = None,
    product: ProductOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Open the Settings page in the browser, or change a setting.

    To change a setting, name it and its value: repoint settings automatic off.
    """
    if name == "passcode" and value is None:
        _set_passcode(store_path(store))
    elif name == "automatic" or (name is None and json):
        _automatic(value, product, json, store)
    elif name == "reports":
        _reports(value, product, json, store)
    elif name is None:
        _open(store)
    elif name == "passcode":
        raise typer.BadParameter("write `repoint settings passcode`; it asks for the new passcode")
    else:
        raise typer.BadParameter(
            f"{name[:60]!r} is not a setting; the settings are automatic (`repoint settings "
            "automatic on` or `… off`), reports (the same, or the address of a fleet) and passcode "
            "(`repoint settings passcode`)"
        )


def _automatic(value: str | None, product: str | None, json: bool, store: Path | None) -> None:
    import msgspec

    device = open_device(store)
    if value is not None:
        if value not in ("on", "off"):
            raise typer.BadParameter(
                f"{value[:60]!r} is not a value of automatic; write "
                "`repoint settings automatic on` or `… off`"
            )
        settings = device.preferences.settings(product)
        changed = msgspec.structs.replace(settings, automatic=value == "on")
        device.preferences.change_settings(product, changed)
    _print(device, product, json)


def _reports(value: str | None, product: str | None, json: bool, store: Path | None) -> None:
    device = open_device(store)
    if value == "off":
        name = device.store.one(product).name
        device.reports.turn_off(name)
        if not device.reports.send(name, now=True):
            print(
                "The fleet could not be asked to delete what it got. Update runs try that again.",
                file=sys.stderr,
            )
    elif value == "on" or (value is not None and "://" in value):
        device.reports.turn_on(product, "" if value == "on" else value)
    elif value is not None:
        raise typer.BadParameter(
            f"{value[:60]!r} is not a value of reports; write `repoint settings reports on`, "
            "`… off`, or the address of a fleet"
        )
    _print(device, product, json)


def _print(device: Device, product: str | None, json: bool) -> None:
    from repoint.cli.output import print_json, switch

    effective = device.preferences.effective_settings(product)
    if json:
        print_json(effective)
        return
    automatic = switch(effective.automatic, effective.automatic_locked_by)
    print(f"Automatically Install: {automatic}")
    reports = switch(bool(effective.reports), effective.reports_locked_by)
    print(f"Share Reports: {reports}")
    if effective.reports:
        print(f"  with {effective.reports}; `repoint report --show` prints what is sent")
    if effective.removal_locked_by:
        print(f"Removal of improvements: {switch(effective.removal, effective.removal_locked_by)}")
    if effective.policy_problem:
        print(f"The current policy files are not in force: {effective.policy_problem}")


def _open(given: Path | None) -> None:
    from repoint.model.extras import require_page
    from repoint.page.open_page import link_to, open_in_browser

    require_page("repoint settings")
    store = store_path(given)
    if given is None and not open_device(store).store.enrolled() and _SYSTEM.is_dir():
        store = _SYSTEM
    _require_enrolled(store)
    link = link_to(store, uid=_browser_account())
    if open_in_browser(link, os.environ):
        print("Opened the Settings page in your browser. If it does not appear, open this link:")
    else:
        print("Open this link in a browser on this machine:")
    print(f"  {link}")
    print("The link works once, within two minutes. The page stops when nobody uses it.")


def _require_enrolled(store: Path) -> None:
    from repoint.device.store.store import Store

    opened = Store(store)
    if not opened.enrolled():
        opened.one(None)  # raises the error about it


def _browser_account() -> int | None:
    """Return the account that called ``sudo``, whose browser opens the page; None without sudo."""
    uid = os.environ.get("SUDO_UID", "")
    return int(uid) if os.geteuid() == 0 and uid.isdigit() else None


def _set_passcode(store: Path) -> None:
    from repoint.model.extras import require_page
    from repoint.page.auth.passcodes import OwnPasscode
    from repoint.page.page_store import PageStore

    _require_enrolled(store)
    require_page("repoint settings passcode")
    if not sys.stdin.isatty():
        raise NoTerminalError(
            "A passcode is needed, and there is no terminal to ask for it",
            hint="Run it in a terminal",
        )
    new = typer.prompt("New passcode for the Settings page", hide_input=True)
    repeated = typer.prompt("Repeat it", hide_input=True)
    OwnPasscode(PageStore(store)).set(new, repeated)
    print("The passcode is set. The Settings page asks for it before every change.")
