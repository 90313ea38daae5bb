"""``repoint settings``: what a person decides."""

from __future__ import annotations

from typing import Annotated

import typer

from repoint.cli.options import JsonOption, ProductOption, StoreOption


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="For devices")(settings)


def settings(
    name: Annotated[
        str | None, typer.Argument(help="The setting: automatic.", show_default=False)
    ] = None,
    value: Annotated[str | None, typer.Argument(help="on or off.", show_default=False)] = None,
    product: ProductOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Show the settings, or change one: repoint settings automatic off."""
    from repoint.cli.device import open_device
    from repoint.cli.output import print_json
    from repoint.device.records import Settings

    device = open_device(store)
    if name is not None:
        if name != "automatic" or value not in ("on", "off"):
            raise typer.BadParameter("write `repoint settings automatic on` or `… off`")
        device.change_settings(product, Settings(automatic=value == "on"))
    now = device.decided(product)
    if json:
        print_json(now)
        return
    print(f"Automatically Install: {_said(now.automatic, now.automatic_locked_by)}")
    if now.removal_locked_by:
        print(f"Removal of improvements: {_said(now.removal, now.removal_locked_by)}")
    if now.policy_problem:
        print(f"The policy as it is now is not in force: {now.policy_problem}")


def _said(value: bool, locked_by: str) -> str:
    return ("on" if value else "off") + (f", locked by {locked_by}" if locked_by else "")
