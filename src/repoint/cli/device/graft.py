"""``repoint graft``: the places of a product's components on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import ProductOption, StoreOption, named
from repoint.cli.terminal import print

if TYPE_CHECKING:
    from repoint.device.store.records import Enrolment

app = command_group("Change where the components of a product are, if a release has others.")


@app.command()
def add(
    grafts: Annotated[
        list[str],
        typer.Argument(
            metavar="COMPONENT=FOLDER...", help="The folder that holds a new component."
        ),
    ],
    product: ProductOption = None,
    store: StoreOption = None,
) -> None:
    """Add components, and move to the installed release that has them."""
    from repoint.cli.opening import open_device

    folders = {name: Path(folder) for name, folder in named(grafts, "COMPONENT=FOLDER").items()}
    _print(open_device(store).add_grafts(product, folders))


@app.command()
def remove(
    component: Annotated[str, typer.Argument(help="The component.")],
    product: ProductOption = None,
    store: StoreOption = None,
) -> None:
    """Remove a component, and move to the installed release that does not have it.

    Its link becomes a plain folder again.
    """
    from repoint.cli.opening import open_device

    _print(open_device(store).remove_graft(product, component))


def _print(enrolment: Enrolment) -> None:
    print(f"{enrolment.product} is at {enrolment.baseline}.")
    for point in enrolment.grafts:
        print(f"  {point.component} at {point.path}")
