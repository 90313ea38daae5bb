"""``repoint agent``: background updates, and the units that start them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import ProductOption, StoreOption
from repoint.cli.terminal import print

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from repoint.agent.units.installation import UnitChange
    from repoint.agent.units.unit_files import Setup
    from repoint.agent.update_run import Agent, UpdateRun
    from repoint.device.device import Device

app = command_group("Install improvements in the background. No process stays resident.")


@app.command("run-once")
def run_once(
    product: ProductOption = None,
    if_due: Annotated[
        bool,
        typer.Option("--if-due", help="For timers: check the repository only if a check is due."),
    ] = False,
    hand_over: Annotated[
        bool,
        typer.Option(
            "--hand-over", help="For hardened units: leave activations to repoint-activate.service."
        ),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Run one update: check, download, verify, stage, and activate what needs no restart."""
    from repoint.agent.units.start import start_activation
    from repoint.host.host import Host

    systemd = Host.local().systemd
    agent = agent_of(store, if_due, (lambda: start_activation(systemd)) if hand_over else None)
    print_runs(agent.run(product), store)


@app.command("activate")
def activate(
    due: Annotated[
        bool,
        typer.Option("--due", help="Also restart what must restart, if that is due now."),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Activate what is staged, unless running programs block it.

    Units call it at the start of the machine or of the session, before other programs run.
    """
    import contextlib
    import sys

    from repoint.agent.startup import merge_at_start
    from repoint.cli.opening import open_device
    from repoint.model.errors import RepointError

    if due:
        print_runs(agent_of(store).activate(), store)
        return
    device = open_device(store, automatic=True)
    before = {}
    for state in device.store.enrolled():
        with contextlib.suppress(RepointError):  # reported below
            before[state.name] = state.links.active()
    failed = False
    for product, error in merge_at_start(device):
        if error is not None:
            failed = True
            print(f"{_display_name(device, product)}: {error}", file=sys.stderr)
            continue
        active = device.store.product(product).links.active()
        if active is not None and active != before.get(product):
            print(f"{_display_name(device, product)}: {active.label} is in force.")
    if failed:
        raise typer.Exit(1)


def _display_name(device: Device, product: str) -> str:
    from repoint.agent.overview.about import about_of
    from repoint.device.os_errors import isolated

    with isolated(product, {}):
        return about_of(device.store.product(product)).name or product
    return product


@app.command("tell")
def tell(product: ProductOption = None, store: StoreOption = None) -> None:
    """Show a notification on this desktop, unless it was shown before."""
    from repoint.agent.notifications import notification_record, notify_desktop
    from repoint.agent.overview.overview import read_overview
    from repoint.cli.opening import open_device
    from repoint.cli.output import report_troubles
    from repoint.device.os_errors import Troubles, isolated

    device = open_device(store)
    enrolled = device.store.enrolled() if product is None else [device.store.one(product)]
    troubles: Troubles = {}
    for state in enrolled:
        record = notification_record(device.store.path, state.name)
        with isolated(state.name, troubles):
            notify_desktop(read_overview(device, state.name), record)
    report_troubles(troubles)


DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would be written, removed and run.")
]


@app.command("install")
def install(dry_run: DryRunOption = False, store: StoreOption = None) -> None:
    """Install the systemd units for background updates: as root for the system, else for you.

    Run it again after each enrolment. Without systemd, it prints the lines for cron.
    """
    import os
    from pathlib import Path

    from repoint.agent.units import installation as units
    from repoint.cli.opening import store_path
    from repoint.device.store.store import Store
    from repoint.host.host import Host

    user = os.geteuid() != 0
    systemd = Host.local().systemd
    setup = units.setup_for(Store(store_path(store)), user=user)
    if not systemd.is_booted() and not dry_run:
        _print_cron(setup)
        return
    change = units.plan_installation(setup, units.unit_folder(user), Path("/etc/systemd/user"))
    if dry_run:
        _print_change(change)
        if not systemd.is_booted():
            print(
                "# systemd is not running on this machine. Without --dry-run, none of this is done."
            )
        return
    units.apply(change, systemd)
    for path in change.files:
        print(f"Wrote {path}.")
    print("An update runs once an hour, at a minute of this device's own. It checks the repository "
          "every four hours.")  # fmt: skip


@app.command("uninstall")
def uninstall(dry_run: DryRunOption = False) -> None:
    """Remove the units. Installed improvements stay in force."""
    import os
    from pathlib import Path

    from repoint.agent.units import installation as units
    from repoint.host.host import Host

    user = os.geteuid() != 0
    systemd = Host.local().systemd
    change = units.plan_removal(user, units.unit_folder(user), Path("/etc/systemd/user"))
    if not change.files:
        print("No units of Repoint are installed.")
        if not systemd.is_booted():
            print(f"systemd is not running on this machine; see {units.crontab_name(user)}.")
        return
    if dry_run:
        _print_change(change)
        return
    units.apply(change, systemd)
    for path in change.files:
        print(f"Removed {path}.")


def _print_change(change: UnitChange) -> None:
    import shlex

    for command in change.before:
        print(f"$ {shlex.join(command)}")
    for path, text in change.files.items():
        print(f"# rm {path}" if text is None else f"# {path}")
        for line in ("" if text is None else f"{text}\n").splitlines():
            print(line)
    for command in change.after:
        print(f"$ {shlex.join(command)}")


def _print_cron(setup: Setup) -> None:
    from repoint.agent.units import installation as units

    print(
        "systemd is not running on this machine. "
        f"Add these lines to {units.crontab_name(setup.user)}:"
    )
    for line in units.cron_lines(setup):
        print(line)


def agent_of(
    store: Path | None, if_due: bool = False, hand_over: Callable[[], None] | None = None
) -> Agent:
    """Return the agent of a store."""
    import random
    import time

    from repoint.agent.update_run import Agent
    from repoint.cli.opening import open_device

    device = open_device(store, unprivileged=hand_over is not None, automatic=True)
    return Agent(device, time.time, random.SystemRandom(), if_due=if_due, hand_over=hand_over)


def print_runs(runs: Iterator[UpdateRun], store: Path | None) -> None:
    """Make update runs, print what they did, and exit with status 1 if one failed."""
    import os
    import sys

    from repoint.agent.journal_events import display_name, report_run
    from repoint.agent.notifications import notification_record, notify_desktop
    from repoint.agent.update_run_lock import UpdateRunActiveError
    from repoint.cli.opening import store_path

    path = store_path(store)
    # The output of a service goes to the journal, which has the events already, with fields.
    silent = "JOURNAL_STREAM" in os.environ
    failed = False
    try:
        for run in runs:
            failed = failed or run.failed
            events = report_run(run, path)
            if not silent:
                for event in events:
                    stream = sys.stderr if event.is_problem else sys.stdout
                    print(f"{display_name(run)}: {event.message}", file=stream)
                if run.handed_over:
                    print(f"{display_name(run)}: Activation is left to repoint-activate.service.")
                elif not events:
                    print(f"{display_name(run)}: Nothing to do.")
            if run.overview is not None and not run.handed_over:
                notify_desktop(run.overview, notification_record(path, run.product))
    except UpdateRunActiveError as error:
        print(f"{error}.")
    if failed:
        raise typer.Exit(1)
