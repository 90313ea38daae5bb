"""Starting a program so that it gets everything from one tree until it ends.

A program that loads files late would follow the graft point to whatever is active then. The
launcher resolves the graft point once, names the tree itself in the program's arguments and
environment, and lets the program inherit a lock on the tree, which the kernel drops when the
program ends. No bookkeeping can go wrong: the lock is the truth.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.device.errors import NotEnrolledError, StoreDamagedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.store import Store
from repoint.device.strategy.grafts import is_grafted
from repoint.fs.lock import share_folder_lock


@dataclass(frozen=True)
class Launch:
    """What to start.

    Attributes:
        program: Path of the program.
        arguments: All arguments, the program's name first.
        environment: Its environment.
        held: Open folders that the program inherits, each with a shared lock.
    """

    program: str
    arguments: list[str]
    environment: dict[str, str]
    held: tuple[int, ...]


def prepare_launch(store: Store, command: Sequence[str], environment: Mapping[str, str]) -> Launch:
    """Hold the trees of all components and resolve every mention of a graft point.

    An argument, the value of an option that is written ``--name=value``, and each entry of an
    environment variable with ``:`` between its entries are resolved if they name a graft point or
    something below it. For programs that find their files otherwise,
    ``REPOINT_TREE_<COMPONENT>`` names the tree.

    Args:
        store: The store.
        command: The program and its arguments.
        environment: The environment to start from.

    Raises:
        NotEnrolledError: The program does not exist.
    """
    trees: dict[str, str] = {}
    held: list[int] = []
    variables: dict[str, str] = {}
    for product in store.enrolled():
        for point in product.documents.enrolment().grafts:
            if point.strategy != "tree" or not is_grafted(product, point):
                # Programs find it where the system has it; or a full update stands there, which
                # `repoint check` takes over.
                continue
            tree, descriptor = _hold(product, point.component)
            held.append(descriptor)
            trees[point.path] = tree
            variables[f"REPOINT_TREE_{_variable(point.component)}"] = tree
    resolved = {key: _resolve_list(value, trees) for key, value in environment.items()}
    arguments = [_resolve_argument(argument, trees) for argument in command]
    program = shutil.which(arguments[0], path=resolved.get("PATH"))
    if program is None:
        raise NotEnrolledError(
            f"There is no program {command[0]}", hint="Check its name, or give its whole path"
        )
    return Launch(program, arguments, {**resolved, **variables}, tuple(held))


def become(launch: Launch) -> None:
    """Become the program; does not return.

    Raises:
        OSError: It cannot be started.
    """
    for descriptor in launch.held:
        os.set_inheritable(descriptor, True)
    os.execve(launch.program, launch.arguments, launch.environment)  # noqa: S606


def _hold(state: ProductState, component: str) -> tuple[str, int]:
    """Open and lock the active tree of a component.

    It may be replaced and collected between our looking and our locking, so look again once the
    lock is held; a tree that is still active then cannot be collected any more.
    """
    link = state.links.active_path / component
    for _ in range(10):
        tree = os.path.realpath(link)
        try:
            descriptor = share_folder_lock(Path(tree))
        except OSError:
            continue
        if os.path.realpath(link) == tree and Path(tree).is_dir():
            return tree, descriptor
        os.close(descriptor)
    raise StoreDamagedError(
        f"{link} leads to no tree", hint="Run `repoint status`; if it says the same, enrol again"
    )


def _resolve_list(value: str, trees: Mapping[str, str]) -> str:
    return ":".join(_resolve(part, trees) for part in value.split(":"))


def _resolve_argument(argument: str, trees: Mapping[str, str]) -> str:
    name, equals, value = argument.partition("=")
    if equals and name.startswith("-"):
        return f"{name}={_resolve_list(value, trees)}"
    return _resolve_list(argument, trees) if "/" in argument else argument


def _resolve(part: str, trees: Mapping[str, str]) -> str:
    if not part or part.startswith("-"):
        return part
    absolute = os.path.abspath(part)
    for graft, tree in trees.items():
        if absolute == graft or absolute.startswith(graft + "/"):
            return tree + absolute[len(graft) :]
    # It may be named through other links; where they end in a held tree, that is what is meant.
    real = os.path.realpath(part)
    if any(real == tree or real.startswith(tree + "/") for tree in trees.values()):
        return real
    return part


def _variable(component: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in component).upper()
