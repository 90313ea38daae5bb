"""Start a program so that it keeps one tree of each component until it ends.

A program that loads files late would follow the graft point to whatever is active then. The
launcher resolves the graft point once, names the tree itself in the program's arguments and
environment, and lets the program inherit a lock on the tree, which the kernel releases when the
program ends. For programs that close what they inherit, the launch is recorded as well.

Every start of a launched program pays for what this module imports. So it uses neither `pathlib`
nor `msgspec`, and reads the one record that it needs with `json`: see
``docs/decisions/0023-a-launcher-that-imports-little.md``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import struct

from repoint.device.errors import NotEnrolledError, StoreDamagedError
from repoint.device.store.trees.launches import record_launch
from repoint.host.kernel.search_paths import names_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_SHARED_LOCK = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
"""``struct flock``: a shared lock on all of a file."""
_PATH = ("/", "./", "../")
"""How text begins that is surely a path."""


class Launch:
    """What to start.

    Attributes:
        program: The path of the program.
        arguments: All arguments, the program's name first.
        environment: Its environment.
        held: Open folders that the program inherits, each with a shared lock.
        trees: The trees that they are.
        problems: What is wrong with products whose trees are not held.
    """

    def __init__(
        self,
        program: str,
        arguments: list[str],
        environment: dict[str, str],
        held: tuple[int, ...],
        trees: tuple[str, ...],
        problems: tuple[str, ...] = (),
    ) -> None:
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.held = held
        self.trees = trees
        self.problems = problems


def has_staged(store: str) -> bool:
    """Return whether anything is staged in a store."""
    return any(
        os.path.lexists(f"{store}/products/{product}/staged") for product in _products(store)
    )


def prepare_launch(store: str, command: Sequence[str], environment: Mapping[str, str]) -> Launch:
    """Hold the trees of all components, and resolve every mention of a graft point.

    A damaged product does not keep the programs of others from starting: see `Launch.problems`.

    Only what is a path is resolved, if it leads to a graft point or below it: the program; an
    argument, or the value of an option that is written ``--name=value``, if it begins with ``/``,
    ``./`` or ``../``, or has a slash in it and is there; and each absolute entry of an environment
    variable with ``:`` between its entries, or each entry if the variable lists folders. Relative
    paths are resolved from the working folder. For programs that find their files otherwise,
    ``REPOINT_TREE_<COMPONENT>`` names the tree.

    Args:
        store: The store.
        command: The program and its arguments.
        environment: The environment to start from.

    Raises:
        NotEnrolledError: The program does not exist, or cannot be executed.
        StoreDamagedError: All products are damaged.
    """
    trees: dict[str, str] = {}
    held: list[int] = []
    variables: dict[str, str] = {}
    damaged: dict[str, StoreDamagedError] = {}
    store = os.path.abspath(store)
    products = _products(store)
    for product in products:
        try:
            for component, graft, link in _grafted_components(store, product):
                tree, descriptor = _hold(link)
                held.append(descriptor)
                trees[graft] = tree
                variables[f"REPOINT_TREE_{_variable(component)}"] = tree
        except StoreDamagedError as error:
            damaged[product] = error
    if damaged and len(damaged) == len(products):
        raise next(iter(damaged.values()))
    problems = tuple(f"{product}: {error}" for product, error in damaged.items())
    resolved = {key: _resolve_variable(key, value, trees) for key, value in environment.items()}
    arguments = [_resolve_argument(argument, trees) for argument in command]
    if "/" in command[0]:
        arguments[0] = _resolve(command[0], trees)
    program = _find_program(arguments[0], resolved)
    environment = {**resolved, **variables}
    return Launch(program, arguments, environment, tuple(held), tuple(trees.values()), problems)


def become(launch: Launch) -> None:
    """Become the program; does not return.

    Raises:
        NotEnrolledError: The interpreter of a script does not exist, or the machine cannot run it.
        OSError: The program cannot be started.
    """
    record_launch(launch.trees)
    for descriptor in launch.held:
        os.set_inheritable(descriptor, True)
    try:
        os.execve(launch.program, launch.arguments, launch.environment)  # noqa: S606
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise NotEnrolledError(
                f"{launch.program} is not a program that this machine can run",
                hint="A script begins with a line such as #!/bin/sh",
            ) from error
        if error.errno == errno.ENOENT and os.path.exists(launch.program):
            raise NotEnrolledError(
                f"{launch.program} names an interpreter that does not exist",
                hint="Install it, or correct the program's first line",
            ) from error
        raise


def _products(store: str) -> list[str]:
    """Return the names of the enrolled products."""
    folder = f"{store}/products"
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if os.path.exists(f"{folder}/{name}/enrolment.json")]


def _grafted_components(store: str, product: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, graft point and link into the store of each grafted component of a product.

    A component of the system is found where the system has it. If a full update has replaced the
    link, `repoint check` takes the new folder over.
    """
    for point in _graft_points(store, product):
        link = f"{store}/products/{product}/active/{point['component']}"
        if os.path.islink(point["path"]) and os.readlink(point["path"]) == link:
            yield point["component"], point["path"], link


def _graft_points(store: str, product: str) -> list[dict[str, str]]:
    try:
        with open(f"{store}/products/{product}/enrolment.json", "rb") as file:
            points: list[dict[str, str]] = json.load(file)["grafts"]
            if all(point["component"] and point["path"] for point in points):
                return points
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass
    return _explain_damage(store, product)


def _explain_damage(store: str, product: str) -> list[dict[str, str]]:
    """Read the enrolment as every other command does, for the same error."""
    from pathlib import Path

    from repoint.device.store.store import Store

    enrolment = Store(Path(store)).product(product).documents.enrolment()
    return [{"component": point.component, "path": point.path} for point in enrolment.grafts]


def _hold(link: str) -> tuple[str, int]:
    """Open and lock the tree that a link leads to.

    Another command may replace and garbage-collect the tree before it is locked, so the link is
    read again once the lock is held. A tree that is still active then cannot be collected.
    """
    for _ in range(10):
        tree = os.path.realpath(link)
        try:
            descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        # As `fs.lock.hold_folder`, whose module imports more than a launch has time for. It never
        # waits. On a file system without locks, the open folder alone shows that it is in use.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _SHARED_LOCK)
        if os.path.realpath(link) == tree and os.path.isdir(tree):
            return tree, descriptor
        os.close(descriptor)
    raise StoreDamagedError(
        f"{link} leads to no tree", hint="Run `repoint status`; if it says the same, enrol again"
    )


def _find_program(name: str, environment: Mapping[str, str]) -> str:
    """Find a program as a shell does: a name without a slash is searched for in ``PATH``."""
    is_path = "/" in name
    folders = [""] if is_path else os.get_exec_path(dict(environment))
    unfit = ""
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            unfit = f"{path} is a folder, not a program" if is_path else unfit
        elif os.access(path, os.X_OK):
            return path
        elif os.path.exists(path):
            unfit = f"{path} is not executable"
    raise NotEnrolledError(
        unfit or f"There is no program {name}", hint="Check its name, or give its full path"
    )


def _resolve_variable(name: str, value: str, trees: Mapping[str, str]) -> str:
    # A program would follow `PYTHONPATH=app/lib` to another tree once that is active. But `LANG=C`
    # or `TERM=xterm` may name a file by accident.
    is_list = names_folders(name)
    return ":".join(
        _resolve(part, trees) if part.startswith("/") or (part and is_list) else part
        for part in value.split(":")
    )


def _resolve_argument(argument: str, trees: Mapping[str, str]) -> str:
    name, equals, value = argument.partition("=")
    if equals and name.startswith("-"):
        return f"{name}={_resolve_words(value, trees)}"
    return _resolve_words(argument, trees)


def _resolve_words(words: str, trees: Mapping[str, str]) -> str:
    return ":".join(_resolve(word, trees) if _is_path(word) else word for word in words.split(":"))


def _is_path(word: str) -> bool:
    return word.startswith(_PATH) or ("/" in word and os.path.lexists(word))


def _resolve(path: str, trees: Mapping[str, str]) -> str:
    try:
        absolute, real = os.path.abspath(path), os.path.realpath(path)
    except OSError:
        return path  # the working folder was deleted, so a relative path leads nowhere
    for graft, tree in trees.items():
        if absolute == graft or absolute.startswith(graft + "/"):
            return tree + absolute[len(graft) :]
    # A path may also lead into a held tree through other links.
    if any(real == tree or real.startswith(tree + "/") for tree in trees.values()):
        return real
    return path


def _variable(component: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in component).upper()
