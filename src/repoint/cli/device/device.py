"""The commands for a device: enrol, check, install, remove and show the status."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.opening import for_each, named_products, open_device
from repoint.cli.options import EveryProductOption, JsonOption, ProductOption, StoreOption
from repoint.cli.terminal import print

if TYPE_CHECKING:
    from repoint.device.update.check import Checked
    from repoint.model.baseline import About


def status(
    product: EveryProductOption = None, json: JsonOption = False, store: StoreOption = None
) -> None:
    """Show whether this device is protected, what is fixed, and what happens next."""
    from repoint.cli.output import report_troubles
    from repoint.cli.status import show_status

    report_troubles(show_status(store, product, json=json))


def check(
    product: EveryProductOption = None, json: JsonOption = False, store: StoreOption = None
) -> None:
    """Check the repository for improvements. Installs nothing."""
    from repoint.agent.overview.about import about_of
    from repoint.cli.output import print_json, report_troubles

    device = open_device(store)
    products = named_products(device, product)
    records: list[dict[str, object]] = []

    def check_one(name: str) -> None:
        start = time.monotonic()
        checked = device.check(name)
        if json:
            records.append(_check_record(name, checked))
        else:
            about = about_of(device.store.product(name))
            shown = (about.name or name) if len(products) > 1 else ""
            _print_check(shown, about, checked, time.monotonic() - start)

    troubles = for_each(products, check_one)
    if json:
        print_json(records[0] if len(products) == 1 else records)
    problem = device.preferences.policy().problem
    if problem:
        print(f"The current policy files are not in force: {problem}", file=sys.stderr)
    report_troubles(troubles)


def _check_record(product: str, checked: Checked) -> dict[str, object]:
    improvement = checked.improvement
    return {
        "product": product,
        "offer": checked.offer,
        "improvement": improvement
        and {"title": improvement.title, "size": improvement.download_size},
        "reopens": checked.reopens,
        "reason": str(checked.nothing or ""),
        "note": checked.note,
        "requests": checked.requests,
        "received": checked.received,
    }


def _print_check(product: str, about: About, checked: Checked, took: float) -> None:
    from repoint.agent.overview.descriptions import name_component
    from repoint.cli.output import counted, seconds, size

    requests = counted(checked.requests, "request")
    cost = f"{requests}, {size(checked.received)}, {seconds(took)}"
    if checked.note:
        print(f"{product}: {checked.note}." if product else f"{checked.note}.")
    if checked.offer is None or checked.improvement is None:
        print(f"{str(checked.nothing or '').rstrip('.')}. [{cost}]")
        return
    if checked.restart:
        staged = f"{checked.offer.label} is staged already; {checked.restart} brings it into force."
        print(f"{f'{product}: ' if product else ''}{staged} [{cost}]")
        return
    urgent = (
        " It is urgent: its fixes are exploited." if checked.offer.urgency == "exploited" else ""
    )
    print(
        f"Available{f' for {product}' if product else ''}: {checked.offer.label}, "
        f"{checked.improvement.title} ({size(checked.improvement.download_size)}).{urgent} [{cost}]"
    )
    if checked.reopens:
        fixes = [f"{fix.name} in {name_component(about, fix.component)}" for fix in checked.reopens]
        print(
            "It does not contain fixes that are in force here, so it is not installed "
            f"automatically: {', '.join(fixes)}."
        )


def history(
    product: ProductOption = None, json: JsonOption = False, store: StoreOption = None
) -> None:
    """Show what happened on this device, when and why."""
    from repoint.cli.output import moment, print_json

    entries = open_device(store).history(product)
    if json:
        print_json(entries)
        return
    for entry in entries:
        why = f"  {entry.why}" if entry.why else ""
        by = entry.account or entry.by
        print(f"{moment(entry.when):<36}  {entry.event:<10}  {by:<9}  {entry.label}{why}")


def launch(
    program: Annotated[
        str, typer.Argument(metavar="PROGRAM", show_default=False, help="The program to start.")
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENTS...", help="Its arguments.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Start a program with one version of each component until it ends."""
    from repoint.cli.launch import start

    start(open_device(store, automatic=True).launch([program, *(arguments or ())], os.environ))
