"""``repoint publish``, ``withdraw``, ``show`` and ``serve``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import (
    JsonOption,
    PlatformOption,
    RepositoryOption,
)
from repoint.cli.terminal import confirm, print
from repoint.cli.vendor.choice import (
    LabelArgument,
    ProductArgument,
    chosen_label,
    chosen_labels,
)
from repoint.cli.vendor.drafts import print_drafts
from repoint.cli.vendor.schedule import (
    ManualOption,
    PlanOption,
    RampOption,
    RingOption,
    chosen_steps,
)

if TYPE_CHECKING:
    from repoint.model.catalog import Urgency
    from repoint.publisher.publisher import Publisher


def publish(
    product: ProductArgument = None,
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
    name, labels = chosen_labels(product, label)
    publisher = _publisher(repository)
    in_steps = exploited or manual or any((ring, ramp, plan))
    steps = chosen_steps(ramp, plan, ring, urgency) if in_steps else ()
    drafts = publisher.drafts(name, labels)
    if drafts and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        print_drafts(publisher, drafts)
        confirm(f"Publish {counted(len(drafts), 'draft')}?", abort=True)
    published = publisher.publish(name, urgency=urgency, labels=labels, steps=steps, manual=manual)
    for improvement in published:
        print(
            f"Published {improvement.label} for {improvement.baseline}: {improvement.title} "
            f"({size(improvement.download_size)} to download)"
        )
    names = {(improvement.label, improvement.baseline) for improvement in published}
    for each in publisher.rollouts.show(name) if steps else ():
        if (each.offer.label, each.offer.baseline) in names:
            print(f"{each.offer.label} for {each.offer.baseline}: {described(each.offer)}")
    if not publisher.repository.address:
        print(
            "Atom, CSAF and ROLIE are left out, because the public address is unknown. Set it "
            "with `repoint repository address https://…`."
        )


def withdraw(
    reason: Annotated[str, typer.Option(help="The reason, which people at devices read.")],
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Withdraw an improvement: devices no longer install it. Its letter is never used again."""
    name, letter = chosen_label(product, label)
    publisher = _publisher(repository)
    for offer in publisher.withdraw(name, letter, reason=reason, platform=platform):
        print(f"Withdrew {offer.label} for {offer.baseline}: {offer.reason}")
        for later in publisher.containing(name, offer):
            print(
                f"{later.label} contains it and is still offered. If the fault is in it, too: "
                f'`repoint withdraw {name} "{later.label}" --reason …`'
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
