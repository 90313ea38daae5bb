"""All commands under one roof."""

from __future__ import annotations

from typing import Annotated

import typer

from repoint import __version__
from repoint.cli.device import agent, device, policy, restart, settings, system
from repoint.cli.vendor import baselines, improvements, plumbing, repository

app = typer.Typer(
    name="repoint",
    help="Background security improvements: small signed patches, installed quietly, "
    "removable at any time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"repoint {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    pass


device.add_to(app)
restart.add_to(app)
settings.add_to(app)
policy.add_to(app)
app.add_typer(agent.app, name="agent", rich_help_panel="For devices")
app.add_typer(system.app, name="system", rich_help_panel="For devices")
improvements.add_to(app)
app.add_typer(repository.app, name="repository", rich_help_panel="For vendors")
app.add_typer(baselines.app, name="baseline", rich_help_panel="For vendors")
plumbing.add_to(app)
