"""``repoint restart``: programs, services, the session or the machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import JsonOption, ProductOption, StoreOption
from repoint.cli.terminal import confirm, print

if TYPE_CHECKING:
    from repoint.agent.restart import AnnouncedRestart
    from repoint.device.activate.restart import Restarted
    from repoint.device.device import Device
    from repoint.device.status.affected import Affected


def restart(
    product: ProductOption = None,
    json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the scheduled restart of the machine.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Restart what runs old code, to bring what is staged into force.

    Programs are asked to close and started again; systemd restarts services. Before the session or
    the machine restarts, there is a countdown that you can stop.
    """
    from repoint.agent.overview.overview import read_overview
    from repoint.agent.restart import restart as restart_all
    from repoint.cli.device.device import open_device
    from repoint.cli.output import print_json
    from repoint.device.outcomes import Nothing
    from repoint.host.host import Host

    if cancel:
        stopped = Host.local().logind.cancel_restart()
        print("The restart is cancelled." if stopped else "No restart was scheduled.")
        return
    device = open_device(store)
    if not yes and sys.stdin.isatty():
        _confirm(read_overview(device, product).affected_now)
    result = restart_all(device, product, on_second=_print_countdown)
    if isinstance(result, Nothing):
        raise result.as_error()
    if json:
        print_json(result)
    else:
        _print(result)
    _fail_if_not_started(result)


def offer_restart(device: Device, product: str | None) -> None:
    """Offer the restart after an installation."""
    from repoint.agent.overview.descriptions import describe_activation_or_restart, describe_restart
    from repoint.agent.overview.overview import read_overview
    from repoint.agent.restart import restart as restart_all
    from repoint.device.outcomes import Nothing

    overview = read_overview(device, product)
    affected = overview.affected_now
    # If nothing runs from it, the restart disturbs nobody and needs no question.
    question = f"Restart {describe_restart(affected)} now?"
    if not _disturbs(affected) or confirm(question, default=False):
        result = restart_all(device, product, on_second=_print_countdown)
        if isinstance(result, Nothing):
            raise result.as_error()
        _print(result)
        _fail_if_not_started(result)
    elif overview.plan.activate is not None:
        print(f"It comes into force {describe_activation_or_restart(overview)}.")


def _confirm(affected: tuple[Affected, ...]) -> None:
    from repoint.agent.overview.descriptions import MACHINE, describe_restart

    if _disturbs(affected):
        subject = describe_restart(affected)
        verb = "restarts" if subject == MACHINE else "closes"
        confirm(f"This {verb} {subject}. Continue?", abort=True)


def _disturbs(affected: tuple[Affected, ...]) -> bool:
    """Return whether anyone notices the restart."""
    return any(item.pids or item.scope in ("session", "system") for item in affected)


def _print_countdown(left: int) -> bool:
    if left % 10 == 0 or left <= 5:
        print(f"The session ends in {left} seconds; press Ctrl-C to stop it.", flush=True)
    return True


def _print(result: Restarted | AnnouncedRestart) -> None:
    from repoint.agent.overview.descriptions import format_time
    from repoint.agent.restart import AnnouncedRestart
    from repoint.cli.output import seconds

    if isinstance(result, AnnouncedRestart):
        if result.scope == "system":
            print(f"This machine restarts at {format_time(result.when)}. "
                  "Stop it with `repoint restart --cancel`.")  # fmt: skip
        else:
            print("The session ends. What is staged comes into force at the next login.")
        return
    for use in result.closed:
        print(f"Closed {use.name} ({use.pid}).")
    for use in result.left:
        where = "in a container" if use.contained else "of another account"
        print(f"{use.name} ({use.pid}) {where} still runs the old code. Restart it yourself.")
    timing = ""
    if result.activation is not None:
        timing = f" [switch {seconds(result.activation.switch)}, "
        timing += f"health check {seconds(result.activation.health)}]"
    print(f"{result.generation.label} is active.{timing}")
    for program in result.started:
        print(f"Started {program}.")
    if result.closed and not result.started and not result.not_started:
        print("Start the program again yourself: the enrolment names no command for it.")


def _fail_if_not_started(result: Restarted | AnnouncedRestart) -> None:
    """Report the programs that could not be started again, and exit with status 1 for them."""
    from repoint.device.activate.restart import Restarted

    if not isinstance(result, Restarted) or not result.not_started:
        return
    for program in result.not_started:
        print(f"repoint: {program.name} could not be started: {program.reason}. "
              "Start it yourself", file=sys.stderr)  # fmt: skip
    raise typer.Exit(1)
