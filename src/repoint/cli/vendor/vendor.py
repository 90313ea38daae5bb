"""The vendor's commands: improve, publish, withdraw, show and serve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import (
    BuildOption,
    JsonOption,
    PlatformOption,
    RepositoryOption,
    VersionOption,
    named,
)

if TYPE_CHECKING:
    from repoint.publisher.layers import Layered

ProductArgument = Annotated[str, typer.Argument(help="The product.")]
_PANEL = "For vendors"


def add_to(app: typer.Typer) -> None:
    """Add the vendor's commands."""
    for command in (improve, publish, withdraw, show, serve):
        app.command(rich_help_panel=_PANEL)(command)


def improve(
    product: ProductArgument,
    version: VersionOption,
    component: Annotated[list[str], typer.Option(help="NAME=SOURCE: a fixed component, whole.")],
    advisory: Annotated[Path, typer.Option(help="What it fixes, a TOML file.")],
    build: BuildOption = None,
    platform: PlatformOption = None,
    letter: Annotated[
        str | None, typer.Option(help="A later letter than the next, to keep platforms in step.")
    ] = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Build an improvement: one patch for each fixed component, as a draft."""
    from repoint.cli.output import progress_bar, size
    from repoint.publisher.advisory_file import read_advisory
    from repoint.publisher.baselines import find_baseline
    from repoint.publisher.catalogs import read_baseline, read_catalog
    from repoint.publisher.improve import improve as build_improvement
    from repoint.repository.repository import Repository

    sources = {name: Path(source) for name, source in named(component, "--component").items()}
    opened = Repository.open(repository)
    name = find_baseline(read_catalog(opened, product), version, build, platform)
    known = [c.name for c in read_baseline(opened, product, name).components]
    read = read_advisory(advisory, known)
    started = time.monotonic()
    with progress_bar({part: f"diff {part}" for part in sources}) as report:
        built = build_improvement(
            opened, product, name, sources, read,
            letter=letter, created=int(time.time()), progress=report,
        )  # fmt: skip
    improvement = built.draft.improvement
    print(f"Built {improvement.label} for {name} in {time.monotonic() - started:.1f} s.")
    for part, layered in built.layers.items():
        _print_layer(part, layered)
        patch = improvement.component(part)
        length = patch.patch_size if patch else 0
        saved = 1 - length / max(layered.full_size, 1)
        print(
            f"  patch {size(length)} for a tree of {size(layered.full_size)}"
            + (f": {saved:.1%} saved" if saved > 0 else "")
        )
    print("Publish it with `repoint publish`.")


def publish(
    product: ProductArgument,
    exploited: Annotated[
        bool, typer.Option("--exploited", help="Attacks on what it fixes were seen: it is urgent.")
    ] = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Publish the improvements that were built, and offer them to devices."""
    from repoint.cli.output import size
    from repoint.cli.passphrases import asking
    from repoint.publisher.publish import publish as publish_drafts
    from repoint.repository.repository import Repository

    published = publish_drafts(
        Repository.open(repository),
        product,
        passphrases=asking(),
        now=int(time.time()),
        urgency="exploited" if exploited else "routine",
    )
    for improvement in published:
        print(
            f"Published {improvement.label} for {improvement.baseline}: {improvement.title} "
            f"({size(improvement.download_size)} to download)"
        )


def withdraw(
    product: ProductArgument,
    label: Annotated[str, typer.Argument(help='The improvement, such as "26.3.1 (a)".')],
    reason: Annotated[str, typer.Option(help="Why; people at devices read it.")],
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Withdraw an improvement: devices no longer install it. Its letter is not given again."""
    from repoint.cli.passphrases import asking
    from repoint.model.version import parse_label
    from repoint.publisher.catalogs import withdraw as withdraw_offer
    from repoint.repository.repository import Repository

    version, letter = parse_label(label)
    for offer in withdraw_offer(
        Repository.open(repository), product, version, letter,
        reason=reason, passphrases=asking(), now=int(time.time()), platform=platform,
    ):  # fmt: skip
        print(f"Withdrew {offer.label} for {offer.baseline}: {reason}")


def show(
    product: Annotated[str | None, typer.Argument(help="Only this product.")] = None,
    json: JsonOption = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Show what a repository holds: roles, products, baselines and improvements."""
    from repoint.cli.output import print_json
    from repoint.cli.vendor.repository_view import print_view
    from repoint.publisher.view import view
    from repoint.repository.repository import Repository

    seen = view(Repository.open(repository), product)
    if json:
        print_json(seen)
    else:
        print_view(seen)


def serve(
    repository: RepositoryOption = Path(),
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8750,
    log: Annotated[bool, typer.Option("--log", help="Print a line for each request.")] = False,
) -> None:
    """Serve the repository over HTTP, for trying things out and for small fleets."""
    from repoint.repository.repository import Repository
    from repoint.repository.serving import serve as serve_folder

    public = Repository.open(repository).public
    serve_folder(
        public, host, port, lambda url: print(f"Serving {public} at {url}", flush=True),
        access_log=log,
    )  # fmt: skip


def _print_layer(component: str, layered: Layered) -> None:
    said = [
        f"{len(paths)} {word}"
        for paths, word in (
            (layered.changed, "changed"), (layered.renamed, "renamed"),
            (layered.added, "added"), (layered.removed, "removed"),
        )
        if paths
    ]  # fmt: skip
    print(f"{component}: {', '.join(said) or 'nothing changes'}")
    lines = [f"  ~ {path}" for path in layered.changed]
    lines += [f"  > {path}  from {old}" for path, old in layered.renamed.items()]
    lines += [f"  + {path}" for path in layered.added]
    lines += [f"  - {path}" for path in layered.removed]
    print("\n".join(lines[:40]))
    if len(lines) > 40:
        print(f"  … and {len(lines) - 40} more")
