"""What connects a process with a component although it holds none of the component's files.

See ``docs/decisions/0037-how-processes-are-judged.md``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath
from typing import Literal

import msgspec

from repoint.device.status.past import Past
from repoint.device.status.tree_index import TreeFile, TreeIndex
from repoint.host.kernel.command_lines import CommandLine, Mention, Source, read_command_line
from repoint.host.kernel.processes import FileIdentity, Process
from repoint.host.systemd.services import Systemd, Unit, restarted_services

Reason = Literal["", "argument", "environment", "folder", "program"]
"""What connects a process with a component, if no file does: an argument or a variable that names
the component, its working folder, or that it is the component's program or service."""

_MARKER = "REPOINT_TREE_"
"""How the launcher's variables begin: see `activate.launch`."""


class Given(msgspec.Struct, frozen=True):
    """What a process was started with.

    Attributes:
        started: When its code was read: its start, in clock ticks since the boot.
        parent: The process that started it.
        arguments: Its arguments.
        command: What they tell it to run.
        places: The paths that it was given, and which files they are to it now.
        trees: The trees that the launcher named in its environment.
    """

    started: int
    parent: int
    arguments: tuple[str, ...]
    command: CommandLine
    places: tuple[tuple[Mention, FileIdentity | None], ...]
    trees: tuple[str, ...]

    @classmethod
    def to(cls, process: Process, started: int) -> Given:
        """Read what a process was started with, and when."""
        arguments, environment = process.arguments(), process.environment()
        command = read_command_line(process.executable(), arguments, environment)
        mentions = list(command.mentions)
        if command.reads_folder:
            mentions.append(Mention(".", "folder", is_surely_path=False))
        first = environment.get("PWD", "")
        if first and process.identity_of_path(first) != process.identity_of_path("."):
            mentions += _from_first_folder(mentions, first)
        return cls(
            started,
            process.parent(),
            arguments,
            command,
            tuple((mention, process.identity_of_path(mention.path)) for mention in mentions),
            tuple(value for name, value in environment.items() if name.startswith(_MARKER)),
        )

    def is_fork_of(self, other: Given) -> bool:
        """Whether it is a copy of another process, and so has what that has read."""
        return self.arguments == other.arguments and self.command == other.command


class Suspicion(msgspec.Struct, frozen=True):
    """A file of a tree that a process may have read, and why.

    Attributes:
        file: The file, or a folder that holds it.
        why: What connects the process with it; empty if it surely runs this script.
    """

    file: TreeFile
    why: Reason


class Judge:
    """Judges processes by what they were started with.

    Args:
        past: The trees that were active in the past.
        index: The trees' files.
        folder: The folder of the store's trees, with a slash at its end.
        shared: Files of the system that improvements change: their paths, and for each the seal
            of the baseline's tree and the path in it.
        systemd: The services of the machine.
    """

    def __init__(
        self,
        past: Past,
        index: TreeIndex,
        folder: str,
        shared: dict[str, TreeFile],
        systemd: Systemd,
    ) -> None:
        self._past, self._index, self._folder = past, index, folder
        self._shared, self._systemd = shared, systemd
        self._programs = [
            (grafted, grafted.point.program, set(restarted_services(grafted.point.program)))
            for grafted in past.components
            if grafted.point.program
        ]

    def suspicions(self, process: Process, given: Given, started: int) -> Iterator[Suspicion]:
        """Yield what a process runs, or may have read.

        Args:
            process: The process.
            given: What it was started with.
            started: When it, or the process that it is a copy of, was started.
        """
        for grafted, program, units in self._programs:
            if _is_program(given.arguments, program) or self._is_in(process, units):
                seal = self._past.seal_at(grafted.active, started)
                yield Suspicion(TreeFile(seal, ""), "program")
        if not given.places:
            return
        is_ours = process.sees_our_files
        for mention, identity in given.places:
            path = mention.path
            if not path.startswith("/"):
                path = f"{process.working_folder()}/{path}"
            path = os.path.normpath(path)
            file = self._index.find(identity, path)
            if file is None and is_ours:
                file = self._by_path(path, is_missing=identity is None)
            if file is None:
                if is_ours and identity is None and given.command.interpreter:
                    yield from self._from_unknown_folder(mention, started)
                continue
            if is_ours and not f"{path}/".startswith(self._folder):
                # The path leads through the graft point, to what was active then.
                file = TreeFile(self._past.seal_at(file.seal, started), file.path)
            # Of the files that a module may be, one that is not there may never have been.
            is_guess = identity is None and not mention.is_surely_path
            is_run = mention.source == "script" and not is_guess
            yield Suspicion(file, "" if is_run else _unsure(mention.source))

    def _by_path(self, path: str, *, is_missing: bool) -> TreeFile | None:
        """Return the file at a path, if it is one of the system, or one that is gone by now."""
        if path in self._shared or not is_missing:
            return self._shared.get(path)
        if path.startswith(self._folder):
            seal, _, inside = path[len(self._folder) :].partition("/")
            return TreeFile(seal, inside) if self._past.component_of(seal)[0] else None
        for grafted in self._past.components:
            if path.startswith(f"{grafted.point.path}/"):
                return TreeFile(grafted.active, path[len(grafted.point.path) + 1 :])
        return None

    def _from_unknown_folder(self, mention: Mention, started: int) -> Iterator[Suspicion]:
        """Yield what a relative path may have meant in a folder that the process has left.

        It leads nowhere from where the process works now, and ends like the graft point: from the
        right folder, it would lead there.
        """
        if mention.path.startswith("/") or not mention.is_surely_path:
            return
        parts = [part for part in os.path.normpath(mention.path).split("/") if part != ".."]
        for grafted in self._past.components:
            graft = grafted.point.path.split("/")
            if any(graft[-n:] == parts[:n] for n in range(1, len(parts) + 1)):
                seal = self._past.seal_at(grafted.active, started)
                yield Suspicion(TreeFile(seal, ""), _unsure(mention.source))

    def _is_in(self, process: Process, units: Collection[Unit]) -> bool:
        return bool(units) and self._systemd.unit_of(process.pid) in units


def _from_first_folder(mentions: Iterable[Mention], folder: str) -> list[Mention]:
    """Return what relative paths mean in the folder in which a shell has started a process.

    A process may have left it for another one since, so that this can be suspected only.
    """
    if not folder.startswith("/"):
        return []
    return [
        Mention(f"{folder}/{mention.path}", _unsure(mention.source))
        for mention in mentions
        if not mention.path.startswith("/")
    ]


def _unsure(source: Source) -> Literal["argument", "environment", "folder"]:
    return "argument" if source == "script" else source


def _is_program(arguments: tuple[str, ...], program: tuple[str, ...]) -> bool:
    """Whether a process runs a program, directly or by an interpreter."""
    own = arguments[-len(program) :]
    return (
        len(own) == len(program)
        and own[1:] == program[1:]
        and PurePath(own[0]).name == PurePath(program[0]).name
        and len(arguments) - len(program) <= 2
    )
