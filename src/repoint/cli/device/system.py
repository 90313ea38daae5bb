"""What the machine's own units and the package manager's hooks run."""

from __future__ import annotations

import sys

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import StoreOption

app = command_group("Commands for the machine's own units and package hooks.")


@app.command()
def settle(store: StoreOption = None) -> None:
    """At a start and after an update: put in force what fits the base, and nothing else."""
    from repoint.agent.startup import merge_at_start
    from repoint.cli.device.device import open_device

    failed = False
    for product, failure in merge_at_start(open_device(store)):
        if failure is not None:
            failed = True
            print(f"repoint: {product}: {failure}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command()
def watch(store: StoreOption = None) -> None:
    """Wait for what is on trial, then confirm it or take it back. `settle` lets systemd run it."""
    from repoint.cli.device.agent import agent_of, print_runs

    print_runs(agent_of(store).watch_trials(), store)


@app.command()
def aside(store: StoreOption = None) -> None:
    """Before an update: take all layers away, so that the base can be written to."""
    from repoint.cli.device.device import open_device

    for product in open_device(store).step_aside():
        print(f"{product}: its layer is taken away until `repoint system settle`.")
