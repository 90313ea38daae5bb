"""``repoint remove``: back to the baseline, after saying what is then open again."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.opening import open_device
from repoint.cli.options import ProductOption, StoreOption
from repoint.cli.terminal import confirm, print

if TYPE_CHECKING:
    from repoint.device.status.status import Status
    from repoint.model.baseline import About


def remove(
    product: ProductOption = None,
    reason: Annotated[str, typer.Option(help="Why; the history keeps it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: StoreOption = None,
) -> None:
    """Remove the improvement and return to the baseline.

    On a terminal, it says what is then no longer fixed, and asks first. A removed improvement is
    not installed again automatically; a later one is.
    """
    from repoint.agent.overview.about import about_of
    from repoint.cli.output import seconds
    from repoint.device.outcomes import require_done

    device = open_device(store)
    before = device.status(product)
    allowed = device.preferences.effective_settings(product).removal
    if allowed and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        _ask(before, about_of(device.store.one(product)))
    start = time.monotonic()
    removed = require_done(device.remove(product, why=reason))
    in_force = _names(before, "in force")
    if removed.is_complete:
        print(f"Removed {removed.generation.label}; {before.version} is active. "
              f"[{seconds(time.monotonic() - start)}]")  # fmt: skip
        if in_force:
            print(f"This device is exposed to {in_force} again.")
    else:
        print(
            f"{removed.generation.label} is removed at the next restart of the programs that run "
            f"it, or with {device.store.one(product).command('restart')}."
        )
        if in_force:
            print(f"From then on, this device is exposed to {in_force} again.")


def _ask(status: Status, about: About) -> None:
    from repoint.agent.overview.descriptions import name_component
    from repoint.model.version import has_letter

    fixes = [cve for cve in status.cves if cve.state != "not fixed"]
    if not fixes:
        return
    label = status.staged if has_letter(status.staged) else status.in_force
    print(f"Without {label}, these are not fixed on this device:")
    for cve in fixes:
        print(f"  {cve.cve} in {name_component(about, cve.component)}: {cve.impact}")
    confirm(f"Remove {label}?", abort=True)


def _names(status: Status, state: str) -> str:
    from repoint.agent.overview.descriptions import name_fixes

    return name_fixes([cve.cve for cve in status.cves if cve.state == state])
