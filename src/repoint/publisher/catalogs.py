"""The published documents of a product, and the withdrawal of improvements."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from repoint.model.baseline import Baseline, BaselineName
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record, encode_record
from repoint.model.improvement import Improvement
from repoint.model.texts import MAX_REASON, check_text
from repoint.model.version import label
from repoint.publisher.errors import AlreadyWithdrawnError, UnknownImprovementError
from repoint.repository import names
from repoint.repository.errors import UnknownProductError
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository


def read_catalog(repository: Repository, product: str) -> Catalog:
    """Return the published catalog of a product.

    Raises:
        UnknownProductError: The repository has no such product.
    """
    known = repository.products()
    if product not in known:
        raise UnknownProductError(
            f"The repository at {repository.path} has no product {product[:60]!r}",
            hint="Register its first release with `repoint baseline add`, or name another. "
            f"Known products: {', '.join(known) or 'none'}",
        )
    path = names.catalog_path(product)
    return decode_record(repository.read_target(path), Catalog, path)


def read_baseline(repository: Repository, product: str, name: BaselineName) -> Baseline:
    """Return a published baseline."""
    path = names.baseline_path(product, name)
    return decode_record(repository.read_target(path), Baseline, path)


def read_improvement(
    repository: Repository, product: str, baseline: BaselineName, letter: str
) -> Improvement:
    """Return a published improvement."""
    path = names.improvement_path(product, baseline, letter)
    return decode_record(repository.read_target(path), Improvement, path)


@dataclass(frozen=True)
class Withdrawal:
    """Which improvement to withdraw, and why.

    Attributes:
        product: The product.
        version: The version of its baselines.
        letter: The improvement's letter.
        reason: The reason, which people at devices read.
        platform: Only the baseline for this platform; None for all platforms.
    """

    product: str
    version: str
    letter: str
    reason: str
    platform: str | None = None


def withdraw(
    repository: Repository, withdrawal: Withdrawal, passphrases: Passphrases, now: int
) -> list[Offer]:
    """Withdraw an improvement for all baselines of a version, or for one platform.

    Only the catalog changes: devices no longer install the improvement, and show the reason. The
    letter is never used again.

    Returns:
        The changed offers.

    Raises:
        UnknownImprovementError: It was never published.
        AlreadyWithdrawnError: It is withdrawn already.
        InvalidRecordError: The reason is empty, too long, or contains a control character.
    """
    reason = check_text("reason", withdrawal.reason.strip(), MAX_REASON, lines=False)
    # Whatever another command changes, it has changed before the lock is held.
    with repository.publication(passphrases) as publication:
        catalog = read_catalog(repository, withdrawal.product)
        withdrawn = {
            offer: msgspec.structs.replace(offer, state="withdrawn", since=now, reason=reason)
            for offer in _to_withdraw(catalog, withdrawal)
        }
        offers = tuple(withdrawn.get(offer, offer) for offer in catalog.offers)
        changed = msgspec.structs.replace(catalog, offers=offers)
        publication.put_catalog(withdrawal.product, encode_record(changed))
    return list(withdrawn.values())


def _to_withdraw(catalog: Catalog, withdrawal: Withdrawal) -> list[Offer]:
    product, version, letter = withdrawal.product, withdrawal.version, withdrawal.letter
    selected = [
        offer
        for offer in catalog.offers
        if (offer.baseline.version, offer.letter) == (version, letter)
        and withdrawal.platform in (None, offer.baseline.platform)
    ]
    if not selected:
        platform = withdrawal.platform
        on = "" if platform is None else f" for {platform}"
        names_of = {
            offer.label if platform is None else f"{offer.label} for {offer.baseline.platform}"
            for offer in catalog.offers
        }
        known = ", ".join(sorted(names_of)) or "none"
        raise UnknownImprovementError(
            f"{product} has no published improvement {label(version, letter)}{on}",
            hint=f"Published improvements: {known}",
        )
    live = [offer for offer in selected if offer.state != "withdrawn"]
    if not live:
        raise AlreadyWithdrawnError(
            f"{product} {label(version, letter)} is already withdrawn: {selected[0].reason}",
            hint="The reason stays as it is",
        )
    return live


def containing(
    repository: Repository, product: str, baseline: BaselineName, letter: str
) -> list[Improvement]:
    """Return the offered improvements of a baseline that contain an earlier letter."""
    offers = read_catalog(repository, product).offers_for(baseline)
    later = [o.letter for o in offers if o.state == "offered" and o.letter != letter]
    improvements = [read_improvement(repository, product, baseline, each) for each in later]
    return [each for each in improvements if letter in {a.letter for a in each.advisories}]
