"""``repoint settings``: what a person decides, in the browser or in the terminal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.options import JsonOption, ProductOption, StoreOption, store_path

_SYSTEM = Path("/var/lib/repoint")


def settings(
    name: Annotated[
        str | None, typer.Argument(help="The setting: automatic, passcode.", show_default=False)
    ] = None,
    value: Annotated[str | None, typer.Argument(help="on or off.", show_default=False)] = None,
    product: ProductOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Open the Settings page in the browser, or change a setting.

    To change a setting, name it and its value: repoint settings automatic off.
    """
    if name == "passcode" and value is None:
        _set_passcode(store_path(store))
    elif name == "automatic" or json:
        _automatic(value, product, json, store)
    elif name is None:
        _open(store)
    else:
        raise typer.BadParameter("write `repoint settings automatic on` or `… off`")


def _automatic(value: str | None, product: str | None, json: bool, store: Path | None) -> None:
    from repoint.cli.device.device import open_device
    from repoint.cli.output import print_json, switch
    from repoint.device.store.records import UserSettings

    device = open_device(store)
    if value is not None:
        if value not in ("on", "off"):
            raise typer.BadParameter("write `repoint settings automatic on` or `… off`")
        device.change_settings(product, UserSettings(automatic=value == "on"))
    now = device.decided(product)
    if json:
        print_json(now)
        return
    print(f"Automatically Install: {switch(now.automatic, now.automatic_locked_by)}")
    if now.removal_locked_by:
        print(f"Removal of improvements: {switch(now.removal, now.removal_locked_by)}")
    if now.policy_problem:
        print(f"The policy as it is now is not in force: {now.policy_problem}")


def _open(given: Path | None) -> None:
    from repoint.cli.device.device import open_device
    from repoint.page.open_page import link_to, open_in_browser

    store = store_path(given)
    if given is None and not open_device(store).store.enrolled() and _SYSTEM.is_dir():
        store = _SYSTEM
    _require_enrolled(store)
    link = link_to(store, uid=_asked_by())
    if open_in_browser(link, os.environ):
        print("Opened the Settings page in your browser. If it does not appear, open this link:")
    else:
        print("Open this link in a browser on this machine:")
    print(f"  {link}")
    print("It works once, within two minutes. The page closes by itself when nobody uses it.")


def _require_enrolled(store: Path) -> None:
    from repoint.device.store.store import Store

    place = Store(store)
    if not place.enrolled():
        place.one(None)


def _asked_by() -> int | None:
    """The account behind ``sudo``, whose browser it will be."""
    asked = os.environ.get("SUDO_UID", "")
    return int(asked) if os.geteuid() == 0 and asked.isdigit() else None


def _set_passcode(store: Path) -> None:
    from repoint.page.auth.passcodes import OwnPasscode
    from repoint.page.extra import require_extra
    from repoint.page.page_store import PageStore

    _require_enrolled(store)
    require_extra()
    new = typer.prompt("New passcode for the Settings page", hide_input=True)
    repeated = typer.prompt("Repeat it", hide_input=True)
    OwnPasscode(PageStore(store)).set(new, repeated)
    print("Set. The Settings page asks for it before every change.")
