"""``repoint draft``: what is built and not published yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import JsonOption, RepositoryOption
from repoint.cli.terminal import confirm, print
from repoint.cli.vendor.choice import LabelArgument, ProductArgument, chosen_label, chosen_product

if TYPE_CHECKING:
    from repoint.publisher.improve.drafts import Draft
    from repoint.publisher.publisher import Publisher

app = command_group("See what is built and not published yet, and discard what is wrong.")

PlatformOption = Annotated[
    str | None, typer.Option("--platform", help="Only for this platform, instead of all.")
]


@app.command("list")
def list_drafts(
    product: ProductArgument = None,
    json: JsonOption = False,
    repository: RepositoryOption = Path(),
) -> None:
    """List the drafts of a product."""
    name = chosen_product(product)
    publisher = _publisher(repository)
    drafts = publisher.drafts(name)
    if json:
        _print_json(publisher, drafts)
        return
    if not drafts:
        print("No drafts.")
    print_drafts(publisher, drafts)


@app.command("show")
def show(
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    json: JsonOption = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Show a draft: its advisories, and what it changes."""
    name, wanted = chosen_label(product, label)
    publisher = _publisher(repository)
    drafts = publisher.drafts(name, [wanted], platform=platform)
    if json:
        _print_json(publisher, drafts)
        return
    for draft in drafts:
        print_drafts(publisher, [draft])
        _print_content(draft)


@app.command("discard")
def discard(
    product: ProductArgument = None,
    label: LabelArgument = None,
    platform: PlatformOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    repository: RepositoryOption = Path(),
) -> None:
    """Discard a draft. Its letter is free again."""
    from repoint.cli.output import counted

    name, wanted = chosen_label(product, label)
    publisher = _publisher(repository)
    drafts = publisher.drafts(name, [wanted], platform=platform)
    if not yes:
        print_drafts(publisher, drafts)
        confirm(f"Discard {counted(len(drafts), 'draft')}?", abort=True)
    for draft in drafts:
        improvement = draft.improvement
        publisher.discard(draft)
        print(f"Discarded {improvement.label} for {improvement.baseline}.")
        for later in publisher.drafts(name):
            letters = {each.letter for each in later.improvement.advisories}
            if later.improvement.baseline == improvement.baseline and improvement.letter in letters:
                print(f"The draft {later.improvement.label} still contains it.")


def print_drafts(publisher: Publisher, drafts: list[Draft]) -> None:
    """Print a few lines about each draft, which say what its publication would mean."""
    from repoint.cli.output import moment, size
    from repoint.cli.vendor.repository_view import fixes_in_words

    for draft in drafts:
        improvement = draft.improvement
        print(f"  {improvement.label} for {improvement.baseline}: {improvement.title}")
        fixes = fixes_in_words(improvement.cves(), improvement.fixes_without_cve())
        print(f"    fixes {fixes}")
        if improvement.dropped:
            print(f"    no longer fixed: {', '.join(improvement.dropped)}")
        print(f"    {size(improvement.download_size)}, built {moment(improvement.created)}")
        for reason in publisher.withdrawn_within(improvement):
            print(f"    contains {reason}")
        for like in publisher.withdrawn_like(improvement):
            print(f"    has the same content as {like}")


def _print_content(draft: Draft) -> None:
    from repoint.cli.output import counted, size

    for lettered in draft.improvement.advisories:
        print(f"    advisory of ({lettered.letter}): {lettered.advisory.title}")
        for fix in lettered.advisory.fixes:
            print(f"      {', '.join(fix.cves) or 'no CVE id'} in {fix.component}: {fix.impact}")
            print(f"        {fix.description}")
    for part in draft.improvement.components:
        changed, removed = len(part.layer.changes), len(part.layer.removed)
        print(
            f"    {part.name}: {counted(changed, 'path')} changed, {removed} removed, "
            f"patch {size(part.patch_size)}"
        )
    print(f"    in {draft.folder}")


def _print_json(publisher: Publisher, drafts: list[Draft]) -> None:
    from repoint.cli.output import print_json
    from repoint.publisher.view import draft_view

    print_json([draft_view(publisher.repository, draft) for draft in drafts])


def _publisher(repository: Path) -> Publisher:
    from repoint.publisher.publisher import Publisher
    from repoint.repository.repository import Repository

    return Publisher(Repository.open(repository))
