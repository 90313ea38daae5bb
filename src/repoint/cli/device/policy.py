"""``repoint policy`` and ``repoint motd``: for administrators and the users of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.options import JsonOption, StoreOption, path
from repoint.cli.terminal import print


def policy(
    folder: Annotated[
        Path | None,
        typer.Argument(
            parser=path, help="Read the files of this folder instead.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Show the policy in force, and the file that sets each rule.

    Fails if a file is malformed. With a folder, it shows the policy that the folder's files would
    set, so that you can try them first.
    """
    from repoint.cli.opening import store_path
    from repoint.cli.output import print_json
    from repoint.device.policy.policy import Rules, draft_policy, policy_folder, read_policy

    current = read_policy(store_path(store)) if folder is None else draft_policy(folder)
    if json:
        print_json(current)
    else:
        for name in Rules.__struct_fields__:
            value = getattr(current.rules, name)
            if value is not None:
                print(f"{name:<14} {_format(value):<24} {current.sources[name]}")
        if not current.sources:
            print(f"No policy in {folder or policy_folder()}: people decide everything.")
    if current.problem:
        import sys

        print(f"repoint: {current.problem}", file=sys.stderr)
        raise typer.Exit(1)


def motd(store: StoreOption = None) -> None:
    """Print what is not protected, as a message of the day.

    It also says when that changes. It prints nothing if this device is protected.
    """
    from repoint.agent.notifications import message_of_the_day
    from repoint.agent.overview.overview import read_overview
    from repoint.cli.opening import open_device
    from repoint.cli.output import report_troubles
    from repoint.device.os_errors import Troubles, isolated

    device = open_device(store)
    troubles: Troubles = {}
    for state in device.store.enrolled():
        with isolated(state.name, troubles):
            for line in message_of_the_day(read_overview(device, state.name)):
                print(line)
    report_troubles(troubles)


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
