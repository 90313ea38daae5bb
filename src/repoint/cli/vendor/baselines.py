"""``repoint baseline``: registration of the sealed state of a release."""

from __future__ import annotations

import platform as machine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import (
    BuildOption,
    PlatformOption,
    RepositoryOption,
    VersionOption,
    command_line,
    named,
    pair,
    path,
)
from repoint.cli.terminal import print

if TYPE_CHECKING:
    from repoint.model.system import System
    from repoint.publisher.publisher import Publisher

app = command_group("Register releases as baselines for improvements.")


@app.command("add")
def add(
    product: Annotated[str, typer.Argument(help="The product, such as acme-kiosk.")],
    version: VersionOption,
    build: Annotated[str, typer.Option("--build", help="Build of the release.")],
    component: Annotated[
        list[str],
        typer.Option(
            help="NAME=SOURCE: a component, and the folder, wheel, .deb or tar archive with it."
        ),
    ],
    platform: Annotated[
        str, typer.Option("--platform", help="Platform of the release.")
    ] = f"linux-{machine.machine().lower()}",
    restart: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SCOPE: none, app (default), service, session or system."),
    ] = None,
    health: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=COMMAND: must succeed after an activation; {tree} and {python} are replaced "
            "by the tree and by Repoint's interpreter."
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATTERN: files that programs write among the component's own."),
    ] = None,
    os_release: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            help="For components that are files of a system, with paths relative to /: the "
            "/etc/os-release of that system.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The product's name for people: Acme Kiosk.")] = "",
    vendor: Annotated[str, typer.Option(help="The vendor's name for people.")] = "",
    contact: Annotated[
        str, typer.Option(help="Where people reach the vendor: an https or mail address.")
    ] = "",
    reports: Annotated[
        str, typer.Option(help="Where reports of devices go, if their owners consent.")
    ] = "",
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt the keys of a new product.")
    ] = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Register a baseline: seal every component of a release and publish it."""
    from repoint.cli.output import counted, size
    from repoint.cli.passphrases import new_passphrase
    from repoint.cli.progress import progress_lines
    from repoint.model.baseline import About, BaselineName, RestartScope
    from repoint.publisher.baselines import ComponentSource, Release

    sources = named(component, "--component")
    scopes = named(restart or [], "--restart")
    checks = named(health or [], "--health")
    ignored = [pair(value, "--ignore") for value in ignore or []]
    for owner in [*scopes, *checks, *(owner for owner, _ in ignored)]:
        if owner not in sources:
            raise typer.BadParameter(f"there is no --component {owner}")
    for scope in scopes.values():
        if scope not in get_args(RestartScope):
            scopes_known = ", ".join(get_args(RestartScope))
            raise typer.BadParameter(
                f"{scope!r} is not a restart scope; use one of {scopes_known}, as in "
                "--restart pillow=service",
                param_hint="--restart",
            )
    parts = [
        ComponentSource(
            name=part,
            source=Path(source),
            restart=scopes.get(part, "app"),  # type: ignore[arg-type]  # checked above
            health=command_line(checks.get(part, ""), "--health"),
            ignore=tuple(pattern for owner, pattern in ignored if owner == part),
        )
        for part, source in sources.items()
    ]
    about = About(name, vendor, contact, reports)
    system = None if os_release is None else _read_system(os_release)
    release = Release(
        product,
        BaselineName(platform, version, build),
        tuple(parts),
        system,
        about if about != About() else None,
    )
    with progress_lines({}):
        baseline = _publisher(repository).add_baseline(
            release, new_passphrase=(lambda: None) if no_passphrase else new_passphrase
        )
    print(f"Registered {product} {baseline.name}.")
    for sealed in baseline.components:
        files = [entry for entry in sealed.entries if entry.kind == "file"]
        total = size(sum(entry.size for entry in files))
        print(f"  {sealed.name}: {counted(len(files), 'file')}, {total}, seal {sealed.seal[:16]}…")
    if baseline.system is not None:
        print(f"  for the system {baseline.system}; its improvements become images there")


@app.command("retire")
def retire(
    product: Annotated[str, typer.Argument(help="The product, such as acme-kiosk.")],
    version: VersionOption,
    build: BuildOption = None,
    platform: PlatformOption = None,
    reason: Annotated[
        str, typer.Option("--reason", help="The reason, which people at devices read.")
    ] = "",
    repository: RepositoryOption = Path(),
) -> None:
    """Retire a baseline: no further improvements are made for it, and its devices are told."""
    publisher = _publisher(repository)
    name = publisher.baseline(product, version, build=build, platform=platform).name
    publisher.retire(product, name, reason=reason)
    print(f"Retired {product} {name}. Its improvements stay on offer.")


@app.command("reinstate")
def reinstate(
    product: Annotated[str, typer.Argument(help="The product, such as acme-kiosk.")],
    version: VersionOption,
    build: BuildOption = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Take the retirement of a baseline back."""
    publisher = _publisher(repository)
    name = publisher.baseline(product, version, build=build, platform=platform).name
    publisher.reinstate(product, name)
    print(f"Reinstated {product} {name}.")


def _publisher(repository: Path) -> Publisher:
    from repoint.cli.passphrases import asking
    from repoint.publisher.publisher import Publisher
    from repoint.repository.repository import Repository

    return Publisher(Repository.open(repository), passphrases=asking())


def _read_system(path: Path) -> System:
    from repoint.model.system import read_system
    from repoint.publisher.errors import OutputWriteError

    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise OutputWriteError(
            f"{path} cannot be read: {error.strerror}",
            hint="Name the /etc/os-release of the system that the release is made for",
        ) from None
    return read_system(text, str(path))
