"""``repoint launch`` without the command-line library, whose import would delay every start.

`launch` handles the usual form of the command. It leaves everything else, such as ``--help`` and
wrong usage, to the same command in `repoint.cli.device.device`.
"""

from __future__ import annotations

import os

from repoint.cli.plain_options import parse_options

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
    parsed = parse_options(arguments, {"--store": "--store", "-s": "--store"})
    if parsed is None or not parsed[1]:
        return
    options, command = parsed
    from repoint.cli.store import default_store
    from repoint.device.activate.launch import has_staged, prepare_launch

    store = options.get("--store") or os.environ.get("REPOINT_STORE") or default_store()
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
