"""``repoint fleet account``: the local accounts of the fleet page."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.fleet.options import StateOption, state_folder
from repoint.cli.options import JsonOption
from repoint.cli.terminal import print
from repoint.fleet.page.auth.errors import AccountError

app = command_group("Add and change the accounts of the fleet page.")


class _Role(enum.StrEnum):
    viewer = "viewer"
    operator = "operator"


NameArgument = Annotated[str, typer.Argument(help="The name of the account.")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help="Read the password from the first line of a file; - is the input."
    ),
]


@app.command("add")
def add(
    name: NameArgument,
    role: Annotated[
        _Role, typer.Option(help="A viewer sees everything; an operator also changes rollouts.")
    ],
    password_file: PasswordFileOption = None,
    state: StateOption = None,
) -> None:
    """Add an account."""
    from repoint.fleet.page.state import accounts_of

    accounts_of(state_folder(state)).add(name, role.value, _new_password(name, password_file))
    print(f"Added {name}, {role.value}. Sign in with it after `repoint fleet open`.")


@app.command("change")
def change(
    name: NameArgument,
    role: Annotated[_Role | None, typer.Option(help="The new role.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a new password; open sessions end.")
    ] = False,
    password_file: PasswordFileOption = None,
    state: StateOption = None,
) -> None:
    """Change the role or the password of an account."""
    from repoint.fleet.page.state import accounts_of

    if role is None and not password and password_file is None:
        raise typer.BadParameter("name what to change: --role, --password or --password-file")
    new = _new_password(name, password_file) if password or password_file is not None else None
    accounts_of(state_folder(state)).change(name, role.value if role is not None else None, new)
    print(f"Changed {name}.")


@app.command("remove")
def remove(name: NameArgument, state: StateOption = None) -> None:
    """Remove an account. Its open sessions end."""
    from repoint.fleet.page.state import accounts_of

    accounts_of(state_folder(state)).remove(name)
    print(f"Removed {name}.")


@app.command("list")
def list_accounts(json: JsonOption = False, state: StateOption = None) -> None:
    """List the accounts."""
    from repoint.cli.output import print_json
    from repoint.fleet.page.state import accounts_of

    accounts = accounts_of(state_folder(state)).all()
    if json:
        print_json([{"name": each.name, "role": each.role} for each in accounts])
        return
    for each in accounts:
        print(f"{each.name}  {each.role}")
    if not accounts:
        print("There is no account. Add one with `repoint fleet account add NAME --role operator`.")


def _new_password(name: str, file: Path | None) -> str:
    if file is not None:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text()
        return text.split("\n")[0].rstrip("\r")
    if not sys.stdin.isatty():
        raise AccountError(
            "A password is needed, and there is no terminal to ask for it",
            hint="Run it in a terminal, or use --password-file",
        )
    new: str = typer.prompt(f"Password of {name}", hide_input=True)
    if typer.prompt("Repeat it", hide_input=True) != new:
        raise AccountError("The two passwords are not the same", hint="Try again")
    return new
