"""All commands of ``repoint``. A command's module is imported when the command is named."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from repoint import __version__
from repoint.cli.command_group import CommandEntry, LazyGroup
from repoint.cli.terminal import print_text

_DEVICE, _VENDOR, _FLEET = "For devices", "For vendors", "For operators of a fleet"
_PLUMBING = "Plumbing"
_PATCHES = "repoint.cli.vendor.plumbing"


def _device(module: str, attribute: str, help_text: str) -> CommandEntry:
    return CommandEntry(f"repoint.cli.device.{module}", attribute, _DEVICE, help_text)


def _vendor(module: str, attribute: str, help_text: str) -> CommandEntry:
    return CommandEntry(
        f"repoint.cli.vendor.{module}", attribute, _VENDOR, help_text, extra="vendor"
    )


ENTRIES = {
    "status": _device(
        "device",
        "status",
        "Show whether this device is protected, what is fixed, and what happens next.",
    ),
    "check": _device("device", "check", "Check the repository for improvements. Installs nothing."),
    "install": _device(
        "install", "install", "Download, verify, prepare and stage what the last check found."
    ),
    "restart": _device(
        "restart", "restart", "Restart what runs old code, to bring what is staged into force."
    ),
    "repair": _device(
        "install",
        "repair",
        "Undo what has changed the files of an improvement in force, such as another program.",
    ),
    "remove": _device("remove", "remove", "Remove the improvement and return to the baseline."),
    "history": _device("device", "history", "Show what happened on this device, when and why."),
    "settings": _device(
        "settings", "settings", "Open the Settings page in the browser, or change a setting."
    )._replace(extra="page"),
    "report": _device(
        "report",
        "report",
        "Show what this device tells its fleet, if you share reports, and when.",
    ),
    "enroll": _device(
        "enrolment",
        "enroll",
        "Enrol a product: verify the installed files against the vendor's baseline.",
    ),
    "unenroll": _device(
        "enrolment", "unenroll", "Unenrol a product: put plain folders in place of Repoint's links."
    ),
    "graft": _device(
        "graft", "app", "Change where the components of a product are, if a release has others."
    ),
    "launch": _device(
        "device",
        "launch",
        "Start a program with one version of each component until it ends.",
    )._replace(takes_any_arguments=True),
    "policy": _device(
        "policy", "policy", "Show the policy in force, and the file that sets each rule."
    ),
    "motd": _device("policy", "motd", "Print what is not protected, as a message of the day."),
    "agent": _device(
        "agent", "app", "Install improvements in the background. No process stays resident."
    ),
    "system": _device("system", "app", "Commands for the machine's own units and package hooks."),
    "init": _vendor(
        "manifest.init", "init", "Write a manifest for the components of a product, to be edited."
    ),
    "improve": _vendor(
        "manifest.improve",
        "improve",
        "Build an improvement as a draft: one patch for each fixed component.",
    ),
    "draft": _vendor(
        "drafts", "app", "See what is built and not published yet, and discard what is wrong."
    ),
    "publish": _vendor(
        "improvements", "publish", "Publish drafts of a product and offer them to devices."
    ),
    "rollout": _vendor(
        "rollouts",
        "app",
        "Reach a share of all devices first, watch, and stop what goes wrong.",
    ),
    "withdraw": _vendor(
        "improvements",
        "withdraw",
        "Withdraw an improvement: devices no longer install it. Its letter is never used again.",
    ),
    "show": _vendor(
        "improvements",
        "show",
        "Show the roles, products, baselines and improvements of a repository.",
    ),
    "serve": _vendor(
        "improvements",
        "serve",
        "Serve the repository over HTTP, to try things out and for small fleets.",
    ),
    "repository": _vendor(
        "repository", "app", "Create a repository and keep its signatures fresh."
    ),
    "baseline": _vendor("baselines", "app", "Register releases as baselines for improvements."),
    "fleet": CommandEntry(
        "repoint.cli.fleet.fleet",
        "app",
        _FLEET,
        "Collect the reports of devices whose owners consent, and see who runs what.",
        extra="fleet",
    ),
    "delta": CommandEntry(_PATCHES, "delta", _PLUMBING, "Make and apply patches.", extra="vendor"),
    "seal": CommandEntry(_PATCHES, "seal", _PLUMBING, "Print the seal of a tree."),
}
"""All commands, in the order of the help, each with the first line of its own help."""


class _Commands(LazyGroup):
    entries = ENTRIES


app = typer.Typer(
    name="repoint",
    cls=_Commands,
    help="Background security improvements: small signed patches, installed in the background "
    "and removable at any time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command_tree() -> Any:
    """Return the root command with all commands loaded, for man pages and references."""
    root: Any = typer.main.get_command(app)
    root.load_all()
    return root


def _print_version(wanted: bool) -> None:
    if wanted:
        print_text(f"repoint {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
