"""``repoint system``: commands for the machine's own units and the package manager's hooks."""

from __future__ import annotations

import sys

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import StoreOption
from repoint.cli.terminal import print

app = command_group("Commands for the machine's own units and package hooks.")


@app.command()
def merge(store: StoreOption = None) -> None:
    """Merge what fits the base system.

    Run it at the start of the machine and after an update. It also activates what is staged.
    """
    from repoint.agent.startup import merge_at_start
    from repoint.cli.opening import open_device

    failed = False
    for product, error in merge_at_start(open_device(store, automatic=True)):
        if error is not None:
            failed = True
            print(f"repoint: {product}: {error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command()
def changed(store: StoreOption = None) -> None:
    """Look whether something has written through a graft point, and have that checked.

    The package manager calls it after its work. It uses no network itself, and waits for nothing.
    """
    from repoint.agent.overview.about import about_of
    from repoint.agent.units.start import start_update_run
    from repoint.cli.opening import for_each, open_device
    from repoint.cli.output import report_troubles

    device = open_device(store, automatic=True)
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        components = device.changed_outside(name)
        if components:
            found[about_of(device.store.product(name)).name or name] = components

    troubles = for_each([state.name for state in device.store.enrolled()], look)
    if found:
        checked = start_update_run(device.host.systemd)
        then = "Repoint checks it in the background" if checked else "Run `repoint check`"
        for name, components in found.items():
            print(f"{name}: {', '.join(components)} was changed by something else. {then}.")
    report_troubles(troubles)


@app.command()
def watch(store: StoreOption = None) -> None:
    """Wait for letters on trial, then confirm them or roll them back.

    `repoint system merge` has systemd run it.
    """
    from repoint.cli.device.agent import agent_of, print_runs

    print_runs(agent_of(store).watch_trials(), store)


@app.command()
def unmerge(store: StoreOption = None) -> None:
    """Unmerge all layers before an update, so that the base system can be written to."""
    from repoint.cli.opening import open_device

    failed = False
    for product, error in open_device(store, automatic=True).boot.unmerge():
        if error is not None:
            failed = True
            print(f"repoint: {product}: {error}", file=sys.stderr)
        else:
            print(f"{product}: its layer is unmerged until `repoint system merge`.")
    if failed:
        raise typer.Exit(1)
