"""``repoint enroll`` and ``repoint unenroll``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.opening import open_device
from repoint.cli.options import ProductOption, StoreOption, command_line, named, path
from repoint.cli.terminal import print
from repoint.model.errors import RepointError


def enroll(
    url: Annotated[str, typer.Argument(help="Address of the vendor's repository.")],
    product: Annotated[str, typer.Option("--product", "-p", help="The product.")],
    root: Annotated[Path, typer.Option(parser=path, help="File with the vendor's trusted root.")],
    graft: Annotated[
        list[str] | None, typer.Option(help="COMPONENT=FOLDER: the folder that holds a component.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            help="COMPONENT=FOLDER: the same for a component among the system's files: / or a "
            "folder below /usr or /opt."
        ),
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(
            help="COMPONENT=COMMAND: starts the component's program again after a restart."
        ),
    ] = None,
    version: Annotated[str, typer.Option("--version", help="Only this version.")] = "",
    build: Annotated[str, typer.Option("--build", help="Only this build.")] = "",
    platform: Annotated[
        str, typer.Option("--platform", help="Another platform than this machine's own.")
    ] = "",
    ring: Annotated[
        str, typer.Option("--ring", help="The ring of this device in rollouts, such as early.")
    ] = "",
    reports: Annotated[
        str,
        typer.Option(
            "--reports",
            help="Share reports with the fleet at this address. Without it, nothing is reported.",
        ),
    ] = "",
    fleet_token: Annotated[
        str,
        typer.Option(
            "--fleet-token",
            help="The token of a managed fleet: reports carry an id of this device.",
        ),
    ] = "",
    store: StoreOption = None,
) -> None:
    """Enrol a product: verify the installed files against the vendor's baseline."""
    from repoint.cli.output import counted
    from repoint.device.fetch.client import read_root
    from repoint.device.update.enrolment.enroll import GraftRequest
    from repoint.device.update.enrolment.recognize import BaselineFilter, DifferentTreesError
    from repoint.model.address import reports_address
    from repoint.model.names import check_product, check_ring

    check_product(product)
    if ring:
        check_ring(ring)
    if reports:
        reports_address(reports)
    commands = named(program or [], "--program")
    trees, layers = named(graft or [], "--graft"), named(system or [], "--system")
    for name in trees.keys() & layers.keys():
        raise typer.BadParameter(f"{name} is named with --graft and with --system")
    grafts = {
        name: GraftRequest(
            Path(folder),
            command_line(commands.pop(name, ""), "--program"),
            "sysext" if name in layers else "tree",
        )
        for name, folder in {**trees, **layers}.items()
    }
    if commands:
        raise typer.BadParameter(f"there is no --graft {next(iter(commands))}")
    device = open_device(store)
    if reports:
        device.reports.require_permission(reports)
    try:
        enrolment = device.enroll(
            product,
            url,
            read_root(root),
            grafts,
            BaselineFilter(platform, version, build),
            ring,
        )
    except DifferentTreesError as error:
        for component, differences in error.differences.items():
            for difference in differences[:20]:
                print(f"  {component}: {difference}", file=sys.stderr)
            if len(differences) > 20:
                more = counted(len(differences) - 20, "more path")
                print(f"  {component}: and {more}", file=sys.stderr)
        raise
    # So that `status` knows at once what is offered. The enrolment is valid without it, and a check
    # that fails is recorded.
    with contextlib.suppress(RepointError):
        device.check(product)
    print(f"Enrolled {product} {enrolment.baseline}. The installed files are the vendor's.")
    for point in enrolment.grafts:
        print(f"  {point.component} at {point.path}")
    if fleet_token:
        device.reports.join(product, fleet_token)
    if reports:
        address = device.reports.turn_on(product, reports)
        print(f"It shares reports with {address}; `repoint report --show` prints them.")


def unenroll(product: ProductOption = None, store: StoreOption = None) -> None:
    """Unenrol a product: put plain folders in place of Repoint's links."""
    unenrolled = open_device(store).unenroll(product)
    print(f"Unenrolled {unenrolled.product}. The store holds nothing of it.")
    for note in unenrolled.notes:
        print(f"  {note}.")
