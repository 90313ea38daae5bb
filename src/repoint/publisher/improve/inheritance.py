"""What an improvement takes from the letters before it, because improvements are cumulative."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from repoint.fs.durable import write_new
from repoint.model.baseline import Baseline, BaselineName
from repoint.model.catalog import Catalog
from repoint.model.improvement import ImprovedComponent, Improvement
from repoint.publisher.catalog.catalogs import read_catalog, read_improvement
from repoint.publisher.improve.drafts import Draft, read_drafts
from repoint.repository import names
from repoint.repository.repository import Repository


@dataclass(frozen=True)
class Lineage:
    """The letters of a baseline, as its next one finds them.

    Attributes:
        catalog: The published catalog.
        drafts: The product's drafts, without the one that is replaced.
        replaced: The draft whose place the next letter takes, if any.
        before: The improvement that it extends: the last draft, or the last one offered.
        earlier: Every letter, also those that are withdrawn or not published yet, without the one
            that is replaced.
    """

    catalog: Catalog
    drafts: list[Draft]
    replaced: Draft | None
    before: Draft | None
    earlier: list[Improvement]


def read_lineage(
    repository: Repository, product: str, baseline: BaselineName, *, replace: bool
) -> Lineage:
    """Read the letters of a baseline.

    Args:
        repository: The vendor's repository.
        product: The product.
        baseline: The baseline.
        replace: Whether the next letter takes the place of the last draft, if there is one.
    """
    catalog = read_catalog(repository, product)
    drafts = read_drafts(repository, product)
    own = [draft for draft in drafts if draft.improvement.baseline == baseline]
    replaced = own.pop() if replace and own else None
    offers = catalog.offers_for(baseline)
    published = [read_improvement(repository, product, baseline, each.letter) for each in offers]
    live = [
        record
        for offer, record in zip(offers, published, strict=True)
        if offer.state != "withdrawn"
    ]
    before = own[-1] if own else Draft(live[-1], Path()) if live else None
    return Lineage(
        catalog,
        [draft for draft in drafts if draft is not replaced],
        replaced,
        before,
        [*published, *(draft.improvement for draft in own)],
    )


def inherit(
    repository: Repository,
    baseline: Baseline,
    before: Draft | None,
    fixed: set[str],
    draft: Path,
) -> list[ImprovedComponent]:
    """Copy the patches of the components that are not fixed now to a draft; return their records.

    Args:
        repository: The vendor's repository.
        baseline: The baseline.
        before: The improvement that the draft extends, if any.
        fixed: The names of the components that are fixed now.
        draft: The folder of the draft.
    """
    kept = [c for c in (before.improvement.components if before else ()) if c.name not in fixed]
    for component in kept:
        if component.patch_size and before is not None:
            letter = before.improvement.letter
            path = names.patch_path(baseline.product, baseline.name, letter, component.name)
            data = (
                before.patch(component.name).read_bytes()
                if before.folder != Path()
                else repository.read_target(path)
            )
            write_new(draft / f"{component.name}.patch", data)
    return kept
