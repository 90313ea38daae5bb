"""``repoint restart``: programs, services, the session or the machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import EveryProductOption, JsonOption, StoreOption
from repoint.cli.terminal import confirm, print

if TYPE_CHECKING:
    from repoint.agent.restart import AnnouncedRestart
    from repoint.device.activate.restart import Restarted
    from repoint.device.device import Device
    from repoint.device.status.affected import Affected

_ORDER = ("none", "app", "service", "session", "system")
"""The restart scopes, in the order in which products restart."""


def restart(
    product: EveryProductOption = None,
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
    from repoint.cli.opening import for_each, named_products, open_device
    from repoint.cli.output import print_json, report_troubles
    from repoint.device.outcomes import Nothing
    from repoint.host.host import Host

    if cancel:
        stopped = Host.local().logind.cancel_restart()
        print("The restart is cancelled." if stopped else "No restart was scheduled.")
        return
    device = open_device(store)
    overviews = {name: read_overview(device, name) for name in named_products(device, product)}
    if not yes and sys.stdin.isatty():
        _confirm(tuple(a for overview in overviews.values() for a in overview.affected_now))
    results: dict[str, Restarted | AnnouncedRestart | Nothing] = {}

    def restart_one(name: str) -> None:
        results[name] = restart_all(device, name, on_second=_print_countdown)

    # What ends this session or restarts the machine comes last.
    order = sorted(overviews, key=lambda name: _ORDER.index(overviews[name].restart_scope))
    troubles = for_each(order, restart_one)
    done = {name: each for name, each in results.items() if not isinstance(each, Nothing)}
    idle = [each for each in results.values() if isinstance(each, Nothing)]
    if idle and not done and not troubles:
        raise idle[0].as_error()
    if json:
        print_json(_records(done, alone=len(order) == 1))
    for name, result in done.items():
        if not json:
            if len(order) > 1:
                print(f"{overviews[name].display_name}:")
            _print(result)
    report_troubles(troubles)
    _fail_if_not_started(list(done.values()))


def _records(done: Mapping[str, Restarted | AnnouncedRestart], *, alone: bool) -> object:
    import msgspec

    if alone:
        return next(iter(done.values()), None)
    return [{"product": name, **msgspec.to_builtins(each)} for name, each in done.items()]


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
        _fail_if_not_started([result])
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
    from repoint.cli.output import counted, seconds

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
    if result.unknown:
        names = ", ".join(f"{use.name} ({use.pid})" for use in result.unknown)
        were = "was" if len(result.unknown) == 1 else "were"
        print(f"{counted(len(result.unknown), 'process')} {were} not restarted: {names}. Nobody "
              "can tell whether the old code runs there, so restart that yourself.")  # fmt: skip
    if result.closed and not result.started and not result.not_started:
        print("Start the program again yourself: the enrolment names no command for it.")


def _fail_if_not_started(results: Sequence[Restarted | AnnouncedRestart]) -> None:
    """Report the programs that could not be started again, and exit with status 1 for them."""
    from repoint.device.activate.restart import Restarted

    restarted = [result for result in results if isinstance(result, Restarted)]
    not_started = [program for result in restarted for program in result.not_started]
    for program in not_started:
        print(f"repoint: {program.name} could not be started: {program.reason}. "
              "Start it yourself", file=sys.stderr)  # fmt: skip
    if not_started:
        raise typer.Exit(1)
