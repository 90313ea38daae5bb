"""``repoint install`` stages what the last check found; ``repoint repair`` prepares it again."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.opening import for_each, named_products, open_device
from repoint.cli.options import EveryProductOption, JsonOption, StoreOption
from repoint.cli.terminal import confirm, print

if TYPE_CHECKING:
    from repoint.device.device import Device
    from repoint.device.outcomes import Nothing
    from repoint.device.update.install import Staged

_STEPS = {"download": "download", "decode": "prepare", "verify": "verify"}


def install(
    product: EveryProductOption = None,
    automatic: Annotated[
        bool,
        typer.Option(
            "--automatic",
            help="For timers: check first, and install only if Automatically Install is on.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, and leave the restart for later.")
    ] = False,
    drop_fix: Annotated[
        list[str] | None,
        typer.Option(
            help="A fix in force that the improvement lacks, and that you accept to lose. May be "
            "repeated."
        ),
    ] = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Download, verify, prepare and stage what the last check found."""
    from repoint.agent.overview.about import about_of
    from repoint.cli.output import print_json, report_troubles

    device = open_device(store, automatic=automatic)
    products = named_products(device, product)
    records: list[dict[str, object]] = []
    asking = not (yes or automatic or json) and sys.stdin.isatty() and sys.stdout.isatty()

    def install_one(name: str) -> None:
        if len(products) > 1 and not json:
            print(f"{about_of(device.store.product(name)).name or name}:")
        if automatic and not device.preferences.effective_settings(name).automatic:
            if not json:
                print("Automatically Install is off; nothing was done.")
            return
        if automatic or device.store.one(name).documents.catalog() is None:
            device.check(name)
        result = _install(device, name, drop_fix or (), automatic=automatic, asking=asking)
        if json:
            records.append(_record(name, result))
        else:
            _print_result(device, name, result, asking=asking)

    troubles = for_each(products, install_one)
    if json and (records or len(products) > 1):
        print_json(records[0] if len(products) == 1 else records)
    report_troubles(troubles)


def repair(
    product: EveryProductOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: StoreOption = None,
) -> None:
    """Undo what has changed the files of an improvement in force, such as another program."""
    from repoint.cli.output import report_troubles
    from repoint.cli.progress import progress_bar
    from repoint.device.outcomes import Nothing

    device = open_device(store)

    def repair_one(name: str) -> None:
        changed = [graft for graft in device.status(name).grafts if graft.damaged]
        for graft in changed:
            print(f"{graft.component} at {graft.path}: {graft.damaged}")
        if changed and not yes and sys.stdin.isatty():
            confirm("Undo these changes?", abort=True)
        with progress_bar(_STEPS) as report:
            repaired = device.repair(name, progress=report)
        if isinstance(repaired, Nothing):
            print(f"{repaired}.")
        else:
            print(f"Repaired {', '.join(repaired)}.")

    report_troubles(for_each(named_products(device, product), repair_one))


def _install(
    device: Device, product: str, accepted: Collection[str], *, automatic: bool, asking: bool
) -> Staged | Nothing:
    from repoint.cli.progress import progress_bar
    from repoint.device.outcomes import Nothing, require_done

    if asking:
        accepted = [*accepted, *_ask_to_install(device, product)]
    with progress_bar(_STEPS) as report:
        result = device.install(
            product, user_initiated=not automatic, progress=report, accepted=accepted
        )
    if isinstance(result, Nothing) and result.is_refusal and not automatic:
        require_done(result)
    return result


def _record(product: str, result: Staged | Nothing) -> dict[str, object]:
    from repoint.device.outcomes import Nothing

    if isinstance(result, Nothing):
        return {"product": product, "label": "", "reason": str(result)}
    return {
        "product": product,
        "label": result.improvement.label,
        "downloaded": result.downloaded,
        "seconds": result.seconds,
        "unguarded": result.unguarded,
    }


def _print_result(device: Device, product: str, result: Staged | Nothing, *, asking: bool) -> None:
    from repoint.agent.overview.descriptions import describe_activation_or_restart
    from repoint.agent.overview.overview import read_overview
    from repoint.cli.device.restart import offer_restart
    from repoint.cli.output import seconds, size
    from repoint.device.outcomes import Nothing

    if isinstance(result, Nothing):
        print(f"{str(result).rstrip('.')}.")
        return
    timing = ", ".join(f"{step} {seconds(value)}" for step, value in result.seconds.items())
    print(f"Staged {result.improvement.label}: {size(result.downloaded)} downloaded. [{timing}]")
    if result.unguarded:
        print(f"This kernel has no {' and no '.join(result.unguarded)}: the patch was decoded with "
              "less protection. The result has the signed seal.")  # fmt: skip
    current = device.status(product)
    if not current.staged:
        print(f"{current.in_force} is in force.")
        return
    if asking:
        offer_restart(device, product)
        return
    when = describe_activation_or_restart(read_overview(device, product))
    print(f"It comes into force {when}.")


def _ask_to_install(device: Device, product: str) -> list[str]:
    """Show what would be installed, what it fixes and what must restart; then ask.

    Returns:
        The fixes in force that the person accepts to lose.
    """
    from repoint.agent.overview.overview import read_overview
    from repoint.cli.device.status_view import print_offer

    overview = read_overview(device, product)
    available = overview.status.available
    if available is None:
        return []
    print_offer(overview)
    # What takes protection away is not one Return key away.
    question = "Install it nevertheless?" if available.reopens else "Install it now?"
    confirm(question, default=not available.reopens, abort=True)
    return [fix.name for fix in available.reopens]
