"""What an improvement takes from the letters before it, because improvements are cumulative."""

from __future__ import annotations

from pathlib import Path

from repoint.fs.durable import write_new
from repoint.model.baseline import Baseline, BaselineName
from repoint.model.catalog import Catalog
from repoint.model.improvement import ImprovedComponent, Improvement
from repoint.publisher.catalog.catalogs import read_improvement
from repoint.publisher.improve.drafts import Draft
from repoint.repository import names
from repoint.repository.repository import Repository


def last_improvement(
    repository: Repository, catalog: Catalog, baseline: BaselineName, drafts: list[Draft]
) -> Draft | None:
    """Return the improvement that the next one extends: the last draft, or the last one offered."""
    own = [draft for draft in drafts if draft.improvement.baseline == baseline]
    if own:
        return own[-1]
    live = [offer for offer in catalog.offers_for(baseline) if offer.state != "withdrawn"]
    if not live:
        return None
    last = read_improvement(repository, catalog.product, baseline, live[-1].letter)
    return Draft(last, Path())


def earlier_improvements(
    repository: Repository, catalog: Catalog, baseline: BaselineName, drafts: list[Draft]
) -> list[Improvement]:
    """Return every letter of a baseline, also those that are withdrawn or not published yet."""
    published = [
        read_improvement(repository, catalog.product, baseline, offer.letter)
        for offer in catalog.offers_for(baseline)
    ]
    own = [d.improvement for d in drafts if d.improvement.baseline == baseline]
    return [*published, *own]


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
