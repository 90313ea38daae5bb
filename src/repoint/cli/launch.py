"""``repoint launch`` without the command-line library, whose import would delay every start.

`launch` handles the usual form of the command. It leaves everything else, such as ``--help`` and
wrong usage, to the same command in `repoint.cli.device.device`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from repoint.device.activate.launch import Launch


def launch(arguments: Sequence[str]) -> None:
    """Become the program that the arguments name.

    Returns only if the command has to be parsed, or what is staged has to be activated first.

    Args:
        arguments: What follows ``launch`` on the command line.

    Raises:
        RepointError: The program does not exist, or the store is damaged.
        OSError: The program cannot be started.
    """
    store, command = _parse(arguments)
    if not command:
        return
    from repoint.cli.store import default_store
    from repoint.device.activate.launch import has_staged, prepare_launch

    store = store or os.environ.get("REPOINT_STORE") or default_store()
    if not has_staged(store):
        start(prepare_launch(store, command, os.environ))


def start(launch: Launch) -> None:
    """Become a program, after what is wrong with products that it does not hold.

    Raises:
        OSError: The program cannot be started.
    """
    from repoint.cli.terminal import print_error
    from repoint.device.activate.launch import become

    for problem in launch.problems:
        print_error(problem)
    become(launch)


def _parse(arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the store, empty for the default, and the command; no command if unsure."""
    store = ""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in ("--store", "-s") and rest and rest[0]:
            store = rest.pop(0)
        elif option.startswith("--store=") and option != "--store=":
            store = option.removeprefix("--store=")
        else:
            return "", ()
    return store, rest
