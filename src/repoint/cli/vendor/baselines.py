"""``repoint baseline``: registration of the sealed state of a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import (
    BuildOption,
    ManifestOption,
    PlatformOption,
    RepositoryOption,
    VersionOption,
    path,
)
from repoint.cli.terminal import print
from repoint.cli.vendor.choice import ProductArgument, chosen_product
from repoint.cli.vendor.manifest.component_options import component_options, default_platform

if TYPE_CHECKING:
    from repoint.model.baseline import BaselineName
    from repoint.model.system import System
    from repoint.publisher.baselines import Release
    from repoint.publisher.manifest.choice import Choice
    from repoint.publisher.manifest.releases import ReleaseOptions
    from repoint.publisher.publisher import Publisher

app = command_group("Register releases as baselines for improvements.")

_ALL = "all of the manifest"


@app.command("add")
def add(
    product: Annotated[
        str | None,
        typer.Argument(help="The product, such as acme-kiosk.", show_default="the manifest's"),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="Version of the release.", show_default=_ALL),
    ] = None,
    build: Annotated[
        str | None, typer.Option("--build", help="Build of the release.", show_default=_ALL)
    ] = None,
    component: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=SOURCE: a component, and the folder, wheel, .deb or tar archive with it.",
            show_default="the manifest's",
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            help="Platform of the release.",
            show_default="the manifest's, or this machine's",
        ),
    ] = None,
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
    manifest: ManifestOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Register a baseline: seal every component of a release and publish it.

    With a manifest, it registers every release of it that is not registered yet.
    """
    from repoint.model.baseline import About
    from repoint.publisher.manifest.choice import Choice, manifest_of
    from repoint.publisher.manifest.releases import ReleaseOptions, releases_to_add

    file = manifest_of(product, manifest)
    choice = Choice(version, build, platform)
    known = () if file is None else [part.id for part in file.content.component]
    options = ReleaseOptions(
        component_options(component or [], restart or [], health or [], ignore or [], known),
        About(name, vendor, contact, reports),
        None if os_release is None else _read_system(os_release),
    )
    releases = [] if file is not None else [_release(product, choice, options)]
    publisher = _publisher(repository)
    registered: list[BaselineName] = []
    if file is not None:
        releases, registered = releases_to_add(publisher.repository, file, choice, options)
    for each in registered:
        print(f"Registered already: {each}.")
    for release in releases:
        _add(publisher, release, encrypt=not no_passphrase)


def _release(product: str | None, choice: Choice, options: ReleaseOptions) -> Release:
    """Return the release that the options alone describe."""
    from repoint.model.baseline import About, BaselineName
    from repoint.publisher.baselines import Release
    from repoint.publisher.manifest.releases import component_source

    if product is None or choice.version is None or choice.build is None or not options.components:
        raise typer.BadParameter(
            "without a manifest, or with that of another product, name the product, --version, "
            "--build and --component; `repoint init` writes a manifest"
        )
    platform = choice.platform if choice.platform is not None else default_platform()
    return Release(
        product,
        BaselineName(platform, choice.version, choice.build),
        tuple(
            component_source(name, Path(each.source or ""), each)
            for name, each in options.components.items()
        ),
        options.system,
        options.about if options.about != About() else None,
    )


def _add(publisher: Publisher, release: Release, *, encrypt: bool) -> None:
    from repoint.cli.output import counted, size
    from repoint.cli.passphrases import new_passphrase
    from repoint.cli.progress import progress_lines

    with progress_lines({}):
        baseline = publisher.add_baseline(
            release, new_passphrase=new_passphrase if encrypt else lambda: None
        )
    print(f"Registered {baseline.product} {baseline.name}.")
    for sealed in baseline.components:
        files = [entry for entry in sealed.entries if entry.kind == "file"]
        total = size(sum(entry.size for entry in files))
        print(f"  {sealed.name}: {counted(len(files), 'file')}, {total}, seal {sealed.seal[:16]}…")
    if baseline.system is not None:
        print(f"  for the system {baseline.system}; its improvements become images there")


@app.command("retire")
def retire(
    version: VersionOption,
    product: ProductArgument = None,
    build: BuildOption = None,
    platform: PlatformOption = None,
    reason: Annotated[
        str, typer.Option("--reason", help="The reason, which people at devices read.")
    ] = "",
    repository: RepositoryOption = Path(),
) -> None:
    """Retire a baseline: no further improvements are made for it, and its devices are told."""
    chosen = chosen_product(product)
    publisher = _publisher(repository)
    name = publisher.baseline(chosen, version, build=build, platform=platform).name
    publisher.retire(chosen, name, reason=reason)
    print(f"Retired {chosen} {name}. Its improvements stay on offer.")


@app.command("reinstate")
def reinstate(
    version: VersionOption,
    product: ProductArgument = None,
    build: BuildOption = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Take the retirement of a baseline back."""
    chosen = chosen_product(product)
    publisher = _publisher(repository)
    name = publisher.baseline(chosen, version, build=build, platform=platform).name
    publisher.reinstate(chosen, name)
    print(f"Reinstated {chosen} {name}.")


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
