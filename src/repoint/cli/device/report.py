"""``repoint report``: what this device tells its fleet, if its owner consents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import JsonOption, ProductOption, StoreOption
from repoint.cli.terminal import print
from repoint.model.errors import RepointError

if TYPE_CHECKING:
    from repoint.device.report.reports import Reporting
    from repoint.model.report import Report


class NotSentError(RepointError):
    """A person asked to send what waits, and it was not taken."""


def report(
    show: Annotated[
        bool, typer.Option("--show", help="Print exactly what would be sent, as JSON.")
    ] = False,
    send: Annotated[
        bool, typer.Option("--send", help="Send what waits now, instead of with an update run.")
    ] = False,
    product: ProductOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Show what this device tells its fleet, if you share reports, and when.

    Turn reports on or off with repoint settings reports.
    """
    from repoint.cli.opening import open_device
    from repoint.cli.output import print_json

    if show and send:
        raise typer.BadParameter("name --show or --send")
    device = open_device(store)
    name = device.store.one(product).name
    if show:
        _show(device.reports.preview(name, device.status(name)), json)
        return
    if send:
        _require_on(device.reports.reporting(name))
        device.reports.note(name, device.status(name))
        _require_sent(device.reports.send(name, now=True), device.reports.reporting(name))
    reporting = device.reports.reporting(name)
    if json:
        print_json(reporting)
    else:
        _print(reporting)


def _show(batch: tuple[Report, ...], json: bool) -> None:
    import msgspec

    from repoint.cli.terminal import print_text
    from repoint.device.report.sending import bodies

    for body in bodies(batch):
        print_text((body if json else msgspec.json.format(body, indent=2)).decode() + "\n")


def _require_on(reporting: Reporting) -> None:
    if not reporting.address:
        raise NotSentError(
            "Share Reports is off; nothing is sent",
            hint="See what would be sent with `repoint report --show`, and turn it on with "
            "`repoint settings reports on`",
        )


def _require_sent(done: bool, reporting: Reporting) -> None:
    if not done:
        raise NotSentError(
            f"The reports were not taken: {reporting.answer}",
            hint="Update runs try again; nothing else depends on it",
        )


def _print(reporting: Reporting) -> None:
    from repoint.cli.output import counted, moment, switch

    print(f"Share Reports: {switch(bool(reporting.address), reporting.locked_by)}")
    if reporting.address:
        print(f"  to          {reporting.address}/v1/reports")
        print(f"  waiting     {counted(len(reporting.waiting), 'report')}")
        print(f"  next count  {moment(reporting.next_count)}")
        if reporting.answer:
            print(f"  last sent   {moment(reporting.answered)}: {reporting.answer}")
        if reporting.device:
            print(f"  this device {reporting.device}, by the token of its fleet")
    elif reporting.proposed and not reporting.locked_by:
        print(f"  They would go to {reporting.proposed}; turn them on with "
              "`repoint settings reports on`.")  # fmt: skip
    for address in reporting.deleting:
        print(f"  {address} is still to be asked to delete what it got.")
    print("`repoint report --show` prints what would be sent, word by word.")
