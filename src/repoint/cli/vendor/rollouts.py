"""``repoint rollout``: who gets an offered improvement when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import JsonOption, RepositoryOption
from repoint.cli.terminal import print
from repoint.cli.vendor.choice import LabelArgument, ProductArgument, chosen_label, chosen_product
from repoint.cli.vendor.schedule import (
    ManualOption,
    PlanOption,
    RampOption,
    RingOption,
    chosen_steps,
)

if TYPE_CHECKING:
    from repoint.model.catalog import Offer
    from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.rollout.control import Rollouts

app = command_group("Reach a share of all devices first, watch, and stop what goes wrong.")

PlatformOption = Annotated[
    str | None, typer.Option("--platform", help="Only for this platform, instead of all.")
]


@app.command("start")
def start(
    product: ProductArgument = None,
    label: LabelArgument = None,
    ring: RingOption = None,
    ramp: RampOption = None,
    plan: PlanOption = None,
    manual: ManualOption = False,
    narrow: Annotated[
        bool,
        typer.Option(
            "--narrow",
            help="Keep what is offered to all devices from those that do not have it yet.",
        ),
    ] = False,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Start a rollout of a published improvement."""
    selection = _selection(product, label, platform)
    rollouts = _rollouts(repository)
    urgency = rollouts.urgency(selection)
    steps = chosen_steps(ramp, plan, ring, urgency)
    _report(rollouts.start(selection, steps, manual=manual, narrow=narrow))


@app.command("show")
def show(
    product: ProductArgument = None,
    json: JsonOption = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Show the rollout of each improvement of a product."""
    from repoint.cli.output import print_json
    from repoint.cli.vendor.rollout_view import print_rollouts

    name = chosen_product(product)
    shown = _rollouts(repository).show(name)
    if json:
        print_json(shown)
    else:
        print_rollouts(shown)


@app.command("pause")
def pause(
    product: ProductArgument = None,
    label: LabelArgument = None,
    reason: Annotated[str, typer.Option(help="The reason, which people at devices read.")] = "",
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Pause a rollout: no further device gets it."""
    selection = _selection(product, label, platform)
    _report(_rollouts(repository).pause(selection, reason=reason))


@app.command("resume")
def resume(
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Resume what was paused or halted, where it stood."""
    _report(_rollouts(repository).resume(_selection(product, label, platform)))


@app.command("promote")
def promote(
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Go on to the next step of a rollout now."""
    _report(_rollouts(repository).promote(_selection(product, label, platform)))


@app.command("finish")
def finish(
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Give the improvement to all devices at once."""
    _report(_rollouts(repository).finish(_selection(product, label, platform)))


@app.command("halt")
def halt(
    reason: Annotated[str, typer.Option(help="The reason, which people at devices read.")],
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Stop an improvement with a key that can only stop."""
    selection = _selection(product, label, platform)
    for letter in _rollouts(repository).halt(selection, reason=reason):
        print(f"Halted {selection.label} for {letter.baseline}: {letter.reason}")


def _selection(product: str | None, label: str | None, platform: str | None) -> Selection:
    from repoint.publisher.catalog.catalogs import Selection

    return Selection(*chosen_label(product, label), platform)


def _rollouts(repository: Path) -> Rollouts:
    from repoint.cli.passphrases import asking
    from repoint.publisher.publisher import Publisher
    from repoint.repository.repository import Repository

    return Publisher(Repository.open(repository), passphrases=asking()).rollouts


def _report(offers: list[Offer]) -> None:
    from repoint.cli.vendor.rollout_view import described

    for offer in offers:
        print(f"{offer.label} for {offer.baseline}: {described(offer)}")
