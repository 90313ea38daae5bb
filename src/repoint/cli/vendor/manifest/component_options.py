"""Options that say something about a component: ``NAME=VALUE``."""

from __future__ import annotations

import platform
from collections.abc import Collection
from typing import TYPE_CHECKING, get_args

import typer

from repoint.cli.options import command_line, named, pair

if TYPE_CHECKING:
    from repoint.publisher.manifest.releases import ComponentOptions


def default_platform() -> str:
    """Return the platform of this machine."""
    return f"linux-{platform.machine().lower()}"


def component_options(
    component: list[str],
    restart: list[str],
    health: list[str],
    ignore: list[str],
    known: Collection[str],
) -> dict[str, ComponentOptions]:
    """Return what the options say about each component.

    Args:
        component: The values of ``--component``.
        restart: The values of ``--restart``.
        health: The values of ``--health``.
        ignore: The values of ``--ignore``.
        known: The components of the manifest, if there is one.

    Raises:
        typer.BadParameter: A value has another form, or is about a component that does not exist.
    """
    from repoint.model.baseline import RestartScope
    from repoint.publisher.manifest.releases import ComponentOptions

    sources = named(component, "--component")
    scopes = named(restart, "--restart")
    checks = named(health, "--health")
    ignored = [pair(value, "--ignore") for value in ignore]
    owners = dict.fromkeys([*sources, *scopes, *checks, *(owner for owner, _ in ignored)])
    for owner in owners:
        if owner not in sources and owner not in known:
            raise typer.BadParameter(f"there is no --component {owner}")
    for scope in scopes.values():
        if scope not in get_args(RestartScope):
            scopes_known = ", ".join(get_args(RestartScope))
            raise typer.BadParameter(
                f"{scope!r} is not a restart scope; use one of {scopes_known}, as in "
                "--restart pillow=service",
                param_hint="--restart",
            )
    return {
        owner: ComponentOptions(
            sources.get(owner),
            scopes.get(owner),  # type: ignore[arg-type]  # checked above
            command_line(checks[owner], "--health") if owner in checks else None,
            tuple(pattern for name, pattern in ignored if name == owner) or None,
        )
        for owner in owners
    }
