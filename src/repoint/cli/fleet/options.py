"""Options that several commands of ``repoint fleet`` share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.options import path

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", parser=path, envvar="REPOINT_FLEET_STATE",
        help="Folder of the page's accounts, sessions and audit log.",
        show_default="/var/lib/repoint-fleet, or the user's data folder",
    ),
]  # fmt: skip

_NAME = "repoint-fleet"


def state_folder(given: Path | None) -> Path:
    """Return the folder that an option names, or the default."""
    if given is not None:
        return given
    if os.geteuid() == 0:
        return Path("/var/lib") / _NAME
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local/share") / _NAME
