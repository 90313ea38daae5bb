"""Publication of drafts: after it, devices may install them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from repoint.model.catalog import Catalog, Offer, Urgency
from repoint.model.encoding import encode_record
from repoint.model.improvement import Improvement
from repoint.model.rollout import Rollout
from repoint.model.version import Letter, label, parse_label
from repoint.publisher.catalog.catalogs import put_catalog, read_catalog
from repoint.publisher.catalog.retirement import require_in_care
from repoint.publisher.errors import LetterTakenError, UnknownImprovementError
from repoint.publisher.feeds.announce import announced
from repoint.publisher.improve.drafts import Draft, clear_drafts, read_drafts, remove_draft
from repoint.publisher.improve.patches import PatchStore
from repoint.repository import names
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository


def publish(
    repository: Repository,
    product: str,
    *,
    passphrases: Passphrases,
    now: int,
    urgency: Urgency = "routine",
    labels: Collection[str] = (),
    rollout: Rollout | None = None,
) -> list[Improvement]:
    """Publish drafts of a product, and offer them to devices.

    All of them are published or none: the commit point is one rename of the repository's timestamp.

    Args:
        repository: The vendor's repository.
        product: The product.
        passphrases: Returns the passphrase of a role's key.
        now: Seconds since 1970.
        urgency: The urgency of the offers.
        labels: Only the drafts with these labels; empty for all.
        rollout: Who gets them when; None if everybody gets them at once.

    Returns:
        The published improvements, in order.

    Raises:
        UnknownImprovementError: There is no draft, or none with a label.
        LetterTakenError: Another improvement with a draft's letter was published in the meantime.
        RetiredBaselineError: The baseline of a draft is retired.
    """
    # Whatever another command changes, it has changed before the lock is held.
    with announced(repository, passphrases) as publication:
        catalog = read_catalog(repository, product)
        drafts, new = _to_publish(repository, catalog, labels)
        if new:
            offers = [
                Offer(
                    d.improvement.baseline, d.improvement.letter, "offered", now, urgency,
                    rollout=rollout,
                )
                for d in new
            ]  # fmt: skip
            for draft in new:
                publication.add_targets(product, _targets(draft), published=now)
            changed = msgspec.structs.replace(catalog, offers=(*catalog.offers, *offers))
            put_catalog(publication, changed)
    for draft in new:
        remove_draft(draft.folder)
    # Nothing is left to build, unless somebody builds more right now; then it is built anew.
    PatchStore(repository, product).clear()
    return [draft.improvement for draft in drafts]


def _to_publish(
    repository: Repository, catalog: Catalog, labels: Collection[str]
) -> tuple[list[Draft], list[Draft]]:
    """Return the selected drafts, and those among them that are not published yet."""
    product = catalog.product
    clear_drafts(repository, product)
    drafts = read_drafts(repository, product)
    if not drafts:
        raise UnknownImprovementError(
            f"{product} has no draft to publish",
            hint="Build one with `repoint improve`",
        )
    drafts = select_drafts(drafts, product, labels)
    known = {(offer.baseline, offer.letter) for offer in catalog.offers}
    published = [d for d in drafts if (d.improvement.baseline, d.improvement.letter) in known]
    for draft in published:
        if not _is_same(repository, draft):
            raise LetterTakenError(
                f"Another {draft.improvement.label} is already published for "
                f"{draft.improvement.baseline}",
                hint="Build it again with the next letter, and discard it with "
                f'`repoint draft discard {product} "{draft.improvement.label}"`',
            )
        # A publication that is killed after its commit leaves its draft behind.
        remove_draft(draft.folder)
    new = [draft for draft in drafts if draft not in published]
    for draft in new:
        _require_later(draft, catalog)
        require_in_care(catalog, draft.improvement.baseline)
    return drafts, new


def select_drafts(drafts: list[Draft], product: str, labels: Collection[str]) -> list[Draft]:
    """Return the drafts with these labels; all if there is no label.

    Raises:
        UnknownImprovementError: There is no draft with a label.
    """
    wanted = {label(*parse_label(each)) for each in labels}
    missing = wanted - {draft.improvement.label for draft in drafts}
    if missing:
        known = ", ".join(dict.fromkeys(draft.improvement.label for draft in drafts)) or "none"
        raise UnknownImprovementError(
            f"{product} has no draft {min(missing)}", hint=f"Its drafts: {known}"
        )
    return [draft for draft in drafts if not wanted or draft.improvement.label in wanted]


def _require_later(draft: Draft, catalog: Catalog) -> None:
    improvement = draft.improvement
    offers = catalog.offers_for(improvement.baseline)
    if offers and Letter(offers[-1].letter) > Letter(improvement.letter):
        raise LetterTakenError(
            f"{offers[-1].label} is already published for {improvement.baseline}, so no device "
            f"would take {improvement.label}",
            hint="Build it again with the next letter, and discard it with "
            f'`repoint draft discard {catalog.product} "{improvement.label}"`',
        )


def _targets(draft: Draft) -> dict[str, bytes | Path]:
    improvement = draft.improvement
    key = (improvement.product, improvement.baseline, improvement.letter)
    targets: dict[str, bytes | Path] = {names.improvement_path(*key): encode_record(improvement)}
    for component in improvement.components:
        if component.patch_size:
            targets[names.patch_path(*key, component.name)] = draft.patch(component.name)
    return targets


def _is_same(repository: Repository, draft: Draft) -> bool:
    path, data = next(iter(_targets(draft).items()))
    return repository.read_target(path) == data
