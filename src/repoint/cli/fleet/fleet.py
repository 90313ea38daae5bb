"""The commands of ``repoint fleet``. A command's module is imported when the command is named."""

from __future__ import annotations

import typer

from repoint.cli.command_group import CommandEntry, LazyGroup


def _fleet(module: str, attribute: str, help_text: str) -> CommandEntry:
    return CommandEntry(
        f"repoint.cli.fleet.{module}", attribute, "Commands", help_text, extra="fleet"
    )


class _Commands(LazyGroup):
    entries = {  # noqa: RUF012 (as in the base class)
        "serve": _fleet("serve", "serve", "Take the reports of devices, and answer about them."),
        "query": _fleet("query", "query", "Ask the stored events with SQL, as a table of CSV."),
        "guard": _fleet("guard", "guard", "Watch the reports, and halt a letter that goes wrong."),
        "open": _fleet(
            "open_page", "open_page", "Serve the fleet page, and open it in the browser."
        ),
        "account": _fleet("accounts", "app", "Add and change the accounts of the fleet page."),
    }


app = typer.Typer(
    cls=_Commands,
    help="Collect the reports of devices whose owners consent, and see who runs what.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
