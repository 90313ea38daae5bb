"""``repoint restart``: programs, services, the session or the machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import JsonOption, ProductOption, StoreOption

if TYPE_CHECKING:
    from repoint.agent.restart import Announced
    from repoint.device.activate.restart import Restarted
    from repoint.device.device import Device
    from repoint.device.status.affected import Affected


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="For devices")(restart)


def restart(
    product: ProductOption = None,
    json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Stop the countdown to a restart of the machine.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Restart what runs old code, so that what is staged comes into force.

    Programs are asked to close and are started again; services are restarted by systemd. Where the
    session or the machine has to restart, there is a countdown that can be stopped.
    """
    from repoint.agent.overview import read_overview
    from repoint.agent.restart import restart as restart_all
    from repoint.cli.device.device import open_device
    from repoint.cli.output import print_json
    from repoint.host import logind

    if cancel:
        stopped = logind.cancel_restart()
        print("The restart is stopped." if stopped else "No restart was announced.")
        return
    device = open_device(store)
    if not yes and sys.stdin.isatty():
        seen = read_overview(device, product)
        if seen.activating:
            _ask(seen.activating)
    done = restart_all(device, product, counting=_count)
    if json:
        print_json(done)
    else:
        _print(done)


def restart_if_wanted(device: Device, product: str | None) -> None:
    """Offer the restart after an installation."""
    from repoint.agent import wording
    from repoint.agent.overview import read_overview
    from repoint.agent.restart import restart as restart_all

    seen = read_overview(device, product)
    what = wording.what_restarts(seen.activating)
    # Where nothing runs from it, nobody notices, and there is nothing to ask.
    if not _disturbs(seen.activating) or typer.confirm(f"Restart {what} now?", default=False):
        _print(restart_all(device, product, counting=_count))
    elif seen.plan.activate is not None:
        when = wording.when_in_force(seen.plan.activate, seen.activating)
        print(f"It comes into force {when}, or with `repoint restart`.")


def _ask(affected: tuple[Affected, ...]) -> None:
    from repoint.agent import wording

    if _disturbs(affected):
        what = wording.what_restarts(affected)
        does = "restarts" if what == wording.MACHINE else "closes"
        typer.confirm(f"This {does} {what}. Go on?", abort=True)


def _disturbs(affected: tuple[Affected, ...]) -> bool:
    """Whether anybody notices the restart."""
    return any(thing.pids or thing.scope in ("session", "system") for thing in affected)


def _count(left: int) -> bool:
    if left % 10 == 0 or left <= 5:
        print(f"The session ends in {left} seconds; Ctrl-C stops it.", flush=True)
    return True


def _print(done: Restarted | Announced) -> None:
    from repoint.agent import wording
    from repoint.agent.restart import Announced
    from repoint.cli.output import seconds

    if isinstance(done, Announced):
        if done.scope == "system":
            print(f"This machine restarts at {wording.moment(done.when)}. "
                  "Stop that with `repoint restart --cancel`.")  # fmt: skip
        else:
            print("The session ends; what is staged comes into force with the next one.")
        return
    for use in done.closed:
        print(f"Closed {use.name} ({use.pid}).")
    took = ""
    if done.activation is not None:
        took = f" [switch {seconds(done.activation.switch)}, "
        took += f"health check {seconds(done.activation.health)}]"
    print(f"{done.generation.label} is active.{took}")
    for program in done.started:
        print(f"Started {program}.")
    if done.closed and not done.started:
        print("Start the program again; enrolment names no command for it.")
