"""Groups of commands."""

from __future__ import annotations

import importlib
from typing import Any, Literal, NamedTuple

import typer
from typer.core import TyperGroup

from repoint.model.extras import Extra, MissingExtraError, missing_extra


class CommandEntry(NamedTuple):
    """Where a command is defined, and what the help of its group says about it.

    Attributes:
        module: The module that defines it.
        attribute: The module's function or `typer.Typer`.
        section: The section of the help that lists it.
        help: The first line of its own help.
        takes_any_arguments: Whether it passes unknown options on to another program.
        extra: The extra of the package that it needs; empty for none.
    """

    module: str
    attribute: str
    section: str
    help: str
    takes_any_arguments: bool = False
    extra: Extra | Literal[""] = ""


def command_group(help_text: str) -> typer.Typer:
    """Return a group of commands. Its help is plain text, as laying it out with Rich is slow."""
    return typer.Typer(
        cls=PlainGroup,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )


class PlainGroup(TyperGroup):
    """A group whose help lists each command with the first line of its own help.

    Typer cuts that line where the terminal ends.
    """

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands to the help."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, (command.help or "").partition("\n\n")[0])
                 for name, command in self.commands.items()]
            )  # fmt: skip


class LazyGroup(TyperGroup):
    """A group that imports a command's module only when the command is named.

    Subclasses set `entries`.
    """

    entries: dict[str, CommandEntry]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or None if there is no such command."""
        if cmd_name in self.entries:
            self._load(cmd_name)
        else:
            self.load_all()  # the message about a wrong name suggests similar ones
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name.

        Raises:
            MissingExtraError: A package is missing that an extra brings.
        """
        try:
            return super().invoke(ctx)
        except MissingExtraError as error:
            if ctx.invoked_subcommand in error.message or ctx.invoked_subcommand is None:
                raise
            command = f"{ctx.command_path} {ctx.invoked_subcommand}"
            raise missing_extra(command, error.extra, error.module) from error
        except ModuleNotFoundError as error:
            name, module = ctx.invoked_subcommand, error.name or ""
            entry = self.entries.get(name or "")
            if entry is None or not entry.extra or module.startswith("repoint"):
                raise
            raise missing_extra(f"{ctx.command_path} {name}", entry.extra, module) from error

    def load_all(self) -> None:
        """Import every command, for those who go through `commands`."""
        for name in self.entries:
            self._load(name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands to the help, section by section."""
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(n, entry.help) for n, entry in self.entries.items()
                     if entry.section == section]
                )  # fmt: skip

    def _load(self, name: str) -> None:
        if name in self.commands:
            return
        entry = self.entries[name]
        definition = getattr(importlib.import_module(entry.module), entry.attribute)
        if isinstance(definition, typer.Typer):
            command: Any = typer.main.get_group(definition)
        else:
            single = command_group("")
            single.command(name, context_settings=_PASS_ON if entry.takes_any_arguments else None)(
                definition
            )
            command = typer.main.get_command(single)
        command.name = name
        self.commands[name] = command


_PASS_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
}
