"""Options that several commands share."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def path(value: str | Path) -> Path:
    """Return the path that an argument names. An empty one would be the current folder.

    Raises:
        typer.BadParameter: It is empty.
    """
    if value == "":
        raise typer.BadParameter("the path is empty; name a file or a folder")
    return Path(value)


RepositoryOption = Annotated[
    Path,
    typer.Option(
        "--repository", "-r", parser=path, envvar="REPOINT_REPOSITORY", show_default="this folder",
        help="Folder of the repository.",
    ),
]  # fmt: skip
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", "-s", parser=path, envvar="REPOINT_STORE",
        help="Folder of the store.", show_default="/var/lib/repoint, or the user's data folder",
    ),
]  # fmt: skip
ProductOption = Annotated[
    str | None,
    typer.Option("--product", "-p", help="The product, if several are enrolled."),
]
EveryProductOption = Annotated[
    str | None,
    typer.Option("--product", "-p", help="Only this product, instead of all that are enrolled."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exact figures as JSON.")]
ManifestOption = Annotated[
    Path | None,
    typer.Option(
        "--manifest", parser=path, help="The manifest.", show_default="repoint.toml in this folder"
    ),
]
VersionOption = Annotated[str, typer.Option("--version", help="Version of the baseline.")]
BuildOption = Annotated[
    str | None, typer.Option("--build", help="Build of the baseline, if several match.")
]
PlatformOption = Annotated[
    str | None,
    typer.Option("--platform", help="Platform of the baseline, if several match."),
]


def command_line(value: str, option: str) -> tuple[str, ...]:
    """Split a command as a shell would.

    Raises:
        typer.BadParameter: A quotation mark is not closed.
    """
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise typer.BadParameter(
            f"{value!r} has a quotation mark that is not closed", param_hint=option
        ) from None


_FORMS = {
    "--component": "pillow=Pillow-10.0.1.whl",
    "--restart": "pillow=service",
    "--health": "pillow=/usr/bin/true",
    "--ignore": "pillow=*.log",
    "--graft": "pillow=/opt/kiosk/pillow",
    "--system": "zlib=/",
    "--program": "pillow=/opt/kiosk/run",
    "--rename-cve": "CVE-2023-4836=CVE-2023-4863",
    "--signer": "root=hsm:2?label=root",
    "--public-key": "root=root.pem",
}
"""An example of each option that has the form ``NAME=VALUE``."""


def pair(value: str, option: str) -> tuple[str, str]:
    """Split one ``NAME=VALUE`` option.

    Raises:
        typer.BadParameter: It has another form.
    """
    name, equals, rest = value.partition("=")
    if not equals or not name or not rest:
        raise typer.BadParameter(
            f"{value[:60]!r} is not of the form NAME=VALUE, as in {option} {_FORMS[option]}",
            param_hint=option,
        )
    return name, rest


def named(values: list[str], option: str) -> dict[str, str]:
    """Split ``NAME=VALUE`` options.

    Raises:
        typer.BadParameter: An option has another form, or two have the same name.
    """
    named_values: dict[str, str] = {}
    for value in values:
        name, rest = pair(value, option)
        if name in named_values:
            raise typer.BadParameter(f"{name} is named twice", param_hint=option)
        named_values[name] = rest
    return named_values
