"""``repoint agent``: rounds in the background, and the units that start them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import ProductOption, StoreOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from repoint.agent.units.installation import UnitChange
    from repoint.agent.units.unit_files import Setup
    from repoint.agent.update_run import Agent, UpdateRun

app = typer.Typer(
    help="Install improvements in the background. Nothing stays resident.", no_args_is_help=True
)


@app.command("run-once")
def run_once(
    product: ProductOption = None,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="For timers: ask the repository only if it is due.")
    ] = False,
    hand_over: Annotated[
        bool,
        typer.Option(
            "--hand-over", help="For hardened units: leave activations to repoint-activate.service."
        ),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Make a round: check, decide, download, prepare, stage, activate what needs no restart."""
    from repoint.agent.units.start import start_activation

    agent = agent_of(store, if_due, start_activation if hand_over else None)
    run_rounds(agent.rounds(product), store)


@app.command("activate")
def activate(
    due: Annotated[
        bool,
        typer.Option("--due", help="Also restart what has to restart, where that is due now."),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Bring into force what waits, where nothing that runs stands in the way.

    Units call it at the start of the machine or of the session, when nothing runs yet.
    """
    import sys

    from repoint.agent.startup import settle
    from repoint.cli.device.device import open_device

    if due:
        run_rounds(agent_of(store).activations(), store)
        return
    device = open_device(store)
    before = {place.name: place.links.active() for place in device.store.enrolled()}
    failed = False
    for name, failure in settle(device):
        now = device.store.product(name).links.active()
        if failure is not None:
            failed = True
            print(f"{name}: {failure}", file=sys.stderr)
        elif now is not None and now != before.get(name):
            print(f"{name}: {now.label} is in force.")
    if failed:
        raise typer.Exit(1)


@app.command("tell")
def tell(product: ProductOption = None, store: StoreOption = None) -> None:
    """Show a notification on this desktop, if there is something that was not told yet."""
    from repoint.agent.notifications import tell_desktop, told_place
    from repoint.agent.overview import read_overview
    from repoint.cli.device.device import open_device

    device = open_device(store)
    for place in device.store.enrolled():
        if product in (None, place.name):
            told = told_place(device.store.path, place.name)
            tell_desktop(read_overview(device, place.name), told)


DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would be written and run.")
]


@app.command("install")
def install(dry_run: DryRunOption = False, store: StoreOption = None) -> None:
    """Write the systemd units that start the rounds: for the system as root, else for yourself.

    Run it again after an enrolment. Without systemd, it shows the lines for cron.
    """
    import os
    from pathlib import Path

    from repoint.agent.units import installation as units
    from repoint.cli.options import store_path
    from repoint.device.store.store import Store
    from repoint.host.systemd import is_booted

    user = os.geteuid() != 0
    setup = units.setup_for(Store(store_path(store)), user=user)
    if not is_booted() and not dry_run:
        _print_cron(setup)
        return
    change = units.installation(setup, units.units_in(user), Path("/etc/systemd/user"))
    if dry_run:
        _print_change(change)
        if not is_booted():
            print(
                "# systemd does not run this machine. Without --dry-run, nothing of that is done."
            )
        return
    units.apply(change)
    for path in change.files:
        print(f"Wrote {path}.")
    print("A round is made once an hour, at this device's own minute; the repository is asked when "
          "the last time is four hours ago.")  # fmt: skip


@app.command("uninstall")
def uninstall(dry_run: DryRunOption = False) -> None:
    """Take the units away again. What is installed stays as it is."""
    import os
    from pathlib import Path

    from repoint.agent.units import installation as units
    from repoint.host.systemd import is_booted

    user = os.geteuid() != 0
    change = units.removal(user, units.units_in(user), Path("/etc/systemd/user"))
    if not change.files:
        print("There are no units of Repoint.")
        if not is_booted():
            print(f"systemd does not run this machine; look into {units.cron_place(user)}.")
        return
    if dry_run:
        _print_change(change)
        return
    units.apply(change)
    for path in change.files:
        print(f"Removed {path}.")


def _print_change(change: UnitChange) -> None:
    import shlex

    for command in change.before:
        print(f"$ {shlex.join(command)}")
    for path, text in change.files.items():
        print(f"# rm {path}" if text is None else f"# {path}\n{text}")
    for command in change.after:
        print(f"$ {shlex.join(command)}")


def _print_cron(setup: Setup) -> None:
    from repoint.agent.units import installation as units

    print(
        f"systemd does not run this machine. Put these lines into {units.cron_place(setup.user)}:"
    )
    for line in units.cron_lines(setup):
        print(line)


def agent_of(
    store: Path | None, if_due: bool = False, hand_over: Callable[[], None] | None = None
) -> Agent:
    """What runs rounds for a store."""
    import random
    import time

    from repoint.agent.update_run import Agent
    from repoint.cli.device.device import open_device

    device = open_device(store, unprivileged=hand_over is not None)
    return Agent(device, time.time, random.SystemRandom(), if_due=if_due, hand_over=hand_over)


def run_rounds(rounds: Iterator[UpdateRun], store: Path | None) -> None:
    """Make the rounds, say what they did, and end with status 1 where something went wrong."""
    import os
    import sys

    from repoint.agent.journal_events import tell
    from repoint.agent.notifications import tell_desktop, told_place
    from repoint.agent.update_run import UpdateRunActiveError
    from repoint.cli.options import store_path
    from repoint.device.errors import StoreBusyError

    path = store_path(store)
    # What a service prints is in the journal; there it was told already, with its fields.
    silent = "JOURNAL_STREAM" in os.environ
    failed = False
    try:
        for made in rounds:
            problems = {str(error) for error in made.errors}
            if made.outlook is not None and made.outlook.decided.policy_problem:
                problems.add(made.outlook.decided.policy_problem)
                failed = True
            failed = failed or any(not isinstance(e, StoreBusyError) for e in made.errors)
            said = tell(made, path)
            if made.handed_over:
                said.append("What is to be activated is left to repoint-activate.service.")
            for line in [] if silent else said or ["Nothing to do."]:
                stream = sys.stderr if line in problems else sys.stdout
                print(f"{made.product}: {line}", file=stream)
            if made.outlook is not None and not made.handed_over:
                tell_desktop(made.outlook, told_place(path, made.product))
    except UpdateRunActiveError as error:
        print(f"{error}.")
    if failed:
        raise typer.Exit(1)
