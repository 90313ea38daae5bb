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
    from repoint.cli.device.device import open_device

    failed = False
    for product, error in merge_at_start(open_device(store, automatic=True)):
        if error is not None:
            failed = True
            print(f"repoint: {product}: {error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


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
    from repoint.cli.device.device import open_device

    failed = False
    for product, error in open_device(store, automatic=True).boot.unmerge():
        if error is not None:
            failed = True
            print(f"repoint: {product}: {error}", file=sys.stderr)
        else:
            print(f"{product}: its layer is unmerged until `repoint system merge`.")
    if failed:
        raise typer.Exit(1)
