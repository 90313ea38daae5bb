"""``repoint improve``, ``publish``, ``withdraw``, ``show`` and ``serve``."""

from __future__ import annotations

import sys
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
    path,
)
from repoint.cli.terminal import confirm, print
from repoint.cli.vendor.schedule import (
    ManualOption,
    PlanOption,
    RampOption,
    RingOption,
    chosen_steps,
)

if TYPE_CHECKING:
    from repoint.model.catalog import Urgency
    from repoint.publisher.improve.drafts import Draft
    from repoint.publisher.improve.layers import LayerComparison
    from repoint.publisher.publisher import Publisher

ProductArgument = Annotated[str, typer.Argument(help="The product.")]


def improve(
    product: ProductArgument,
    version: VersionOption,
    component: Annotated[list[str], typer.Option(help="NAME=SOURCE: the whole fixed component.")],
    advisory: Annotated[
        Path, typer.Option(parser=path, help="TOML file with the advisory: what it fixes.")
    ],
    build: BuildOption = None,
    platform: PlatformOption = None,
    letter: Annotated[
        str | None, typer.Option(help="Skip to this letter, to keep platforms in step.")
    ] = None,
    drop_fix: Annotated[
        list[str] | None,
        typer.Option(
            help="A CVE id that an earlier letter fixes and this one knowingly does not. May be "
            "repeated."
        ),
    ] = None,
    rename_cve: Annotated[
        list[str] | None,
        typer.Option(help="OLD=NEW: corrects a CVE id that an earlier letter names wrongly."),
    ] = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Build an improvement as a draft: one patch for each fixed component."""
    from repoint.cli.output import size
    from repoint.cli.progress import progress_bar
    from repoint.publisher.advisory_file import read_advisory
    from repoint.publisher.catalog.claims import Corrections
    from repoint.publisher.improve.improve import ImprovementRequest

    sources = {name: Path(source) for name, source in named(component, "--component").items()}
    corrections = Corrections(tuple(drop_fix or ()), named(rename_cve or [], "--rename-cve"))
    publisher = _publisher(repository)
    baseline = publisher.baseline(product, version, build=build, platform=platform)
    fixes = read_advisory(advisory, [component.name for component in baseline.components])
    request = ImprovementRequest(product, baseline.name, sources, fixes, letter, corrections)
    started = time.monotonic()
    with progress_bar({part: f"diff {part}" for part in sources}) as report:
        built = publisher.improve(request, progress=report)
    improvement = built.draft.improvement
    print(f"Built {improvement.label} for {baseline.name} in {time.monotonic() - started:.1f} s.")
    for part, layer in built.layers.items():
        _print_layer(part, layer)
        patch = improvement.component(part)
        length = patch.patch_size if patch else 0
        saved = 1 - length / max(layer.full_size, 1)
        print(
            f"  patch {size(length)} for a tree of {size(layer.full_size)}"
            + (f": {saved:.1%} saved" if saved > 0 else "")
        )
    if improvement.dropped:
        print(f"It does not fix {', '.join(improvement.dropped)}, which an earlier letter fixed.")
    print("Publish it with `repoint publish`.")


def publish(
    product: ProductArgument,
    label: Annotated[
        list[str] | None,
        typer.Argument(help='Only these drafts, such as "26.3.1 (a)".', show_default="all"),
    ] = None,
    exploited: Annotated[
        bool,
        typer.Option("--exploited", help="Mark it urgent: the vulnerability is being exploited."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    ring: RingOption = None,
    ramp: RampOption = None,
    plan: PlanOption = None,
    manual: ManualOption = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Publish drafts of a product and offer them to devices.

    Without labels, all drafts are published. On a terminal, it shows them and asks first. With
    --ring, --ramp, --plan or --manual, they are rolled out in steps, else offered to all devices.
    With --exploited alone, they reach all devices within a day; --ramp 100% offers them at once.
    """
    from repoint.cli.output import counted, size
    from repoint.cli.vendor.rollout_view import described

    urgency: Urgency = "exploited" if exploited else "routine"
    publisher, labels = _publisher(repository), label or []
    in_steps = exploited or manual or any((ring, ramp, plan))
    steps = chosen_steps(ramp, plan, ring, urgency) if in_steps else ()
    drafts = publisher.drafts(product, labels)
    if drafts and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        _print_drafts(publisher, drafts)
        confirm(f"Publish {counted(len(drafts), 'draft')}?", abort=True)
    published = publisher.publish(
        product, urgency=urgency, labels=labels, steps=steps, manual=manual
    )
    for improvement in published:
        print(
            f"Published {improvement.label} for {improvement.baseline}: {improvement.title} "
            f"({size(improvement.download_size)} to download)"
        )
    names = {(improvement.label, improvement.baseline) for improvement in published}
    for each in publisher.rollouts.show(product) if steps else ():
        if (each.offer.label, each.offer.baseline) in names:
            print(f"{each.offer.label} for {each.offer.baseline}: {described(each.offer)}")


def withdraw(
    product: ProductArgument,
    label: Annotated[str, typer.Argument(help='The improvement, such as "26.3.1 (a)".')],
    reason: Annotated[str, typer.Option(help="The reason, which people at devices read.")],
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Withdraw an improvement: devices no longer install it. Its letter is never used again."""
    publisher = _publisher(repository)
    for offer in publisher.withdraw(product, label, reason=reason, platform=platform):
        print(f"Withdrew {offer.label} for {offer.baseline}: {offer.reason}")
        for later in publisher.containing(product, offer):
            print(
                f"{later.label} contains it and is still offered. If the fault is in it, too: "
                f'`repoint withdraw {product} "{later.label}" --reason …`'
            )


def show(
    product: Annotated[str | None, typer.Argument(help="Only this product.")] = None,
    json: JsonOption = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Show the roles, products, baselines and improvements of a repository."""
    from repoint.cli.output import print_json
    from repoint.cli.vendor.repository_view import print_view

    view = _publisher(repository).show(product)
    if json:
        print_json(view)
    else:
        print_view(view)


def serve(
    repository: RepositoryOption = Path(),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
    ] = 8750,
    log: Annotated[bool, typer.Option("--log", help="Print a line per request.")] = False,
) -> None:
    """Serve the repository over HTTP, to try things out and for small fleets."""
    from repoint.repository.repository import Repository
    from repoint.repository.serving import serve as serve_folder

    public = Repository.open(repository).public
    serve_folder(
        public, host, port, lambda url: print(f"Serving {public} at {url}", flush=True),
        access_log=log,
    )  # fmt: skip


def _publisher(repository: Path) -> Publisher:
    from repoint.cli.passphrases import asking
    from repoint.publisher.publisher import Publisher
    from repoint.repository.repository import Repository

    return Publisher(Repository.open(repository), passphrases=asking())


def _print_drafts(publisher: Publisher, drafts: list[Draft]) -> None:
    from repoint.cli.output import moment, size

    for draft in drafts:
        improvement = draft.improvement
        print(f"  {improvement.label} for {improvement.baseline}: {improvement.title}")
        print(f"    fixes {', '.join(improvement.cves()) or 'no CVE id'}")
        print(f"    {size(improvement.download_size)}, built {moment(improvement.created)}")
        for reason in publisher.withdrawn_within(improvement):
            print(f"    contains {reason}")


def _print_layer(component: str, layer: LayerComparison) -> None:
    counts = [
        f"{len(paths)} {word}"
        for paths, word in (
            (layer.changed, "changed"), (layer.renamed, "renamed"),
            (layer.added, "added"), (layer.removed, "removed"),
        )
        if paths
    ]  # fmt: skip
    print(f"{component}: {', '.join(counts) or 'no changes'}")
    lines = [f"  ~ {path}" for path in layer.changed]
    lines += [f"  > {path}  from {old}" for path, old in layer.renamed.items()]
    lines += [f"  + {path}" for path in layer.added]
    lines += [f"  - {path}" for path in layer.removed]
    for line in lines[:40]:
        print(line)
    if len(lines) > 40:
        print(f"  … and {len(lines) - 40} more")
