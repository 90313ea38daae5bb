"""Reading and changing the catalog: what is offered, paused and withdrawn."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from repoint.model.baseline import Baseline, BaselineName
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record, encode_record
from repoint.model.improvement import Improvement
from repoint.model.version import label
from repoint.publisher.errors import UnknownImprovementError
from repoint.repository import names
from repoint.repository.errors import UnknownProductError
from repoint.repository.repository import Repository


def read_catalog(repository: Repository, product: str) -> Catalog:
    """The published catalog of a product.

    Raises:
        UnknownProductError: The repository has no such product.
    """
    known = repository.products()
    if product not in known:
        raise UnknownProductError(
            f"The repository at {repository.path} has no product {product!r}",
            hint="Register its first release with `repoint baseline add`, or name one of these: "
            f"{', '.join(known) or 'none'}",
        )
    path = names.catalog_path(product)
    return decode_record(repository.read_target(path), Catalog, path)


def read_baseline(repository: Repository, product: str, name: BaselineName) -> Baseline:
    """A published baseline."""
    path = names.baseline_path(product, name)
    return decode_record(repository.read_target(path), Baseline, path)


def read_improvement(
    repository: Repository, product: str, baseline: BaselineName, letter: str
) -> Improvement:
    """A published improvement."""
    path = names.improvement_path(product, baseline, letter)
    return decode_record(repository.read_target(path), Improvement, path)


def withdraw(
    repository: Repository,
    product: str,
    version: str,
    letter: str,
    *,
    reason: str,
    passphrases: Callable[[str], bytes],
    now: int,
    platform: str | None = None,
) -> list[Offer]:
    """Withdraw an improvement, for all baselines of that version or for one platform.

    Only the catalog changes: devices no longer install the improvement, and say why. The letter
    is never given again.

    Returns:
        The offers as they are now.

    Raises:
        UnknownImprovementError: It was never published.
    """
    catalog = read_catalog(repository, product)
    chosen = [
        offer
        for offer in catalog.offers
        if (offer.baseline.version, offer.letter) == (version, letter)
        and platform in (None, offer.baseline.platform)
    ]
    if not chosen:
        known = ", ".join(sorted({offer.label for offer in catalog.offers})) or "none"
        raise UnknownImprovementError(
            f"{product} has no published improvement {label(version, letter)}",
            hint=f"Published are: {known}",
        )
    withdrawn = {
        offer: msgspec.structs.replace(offer, state="withdrawn", since=now, reason=reason)
        for offer in chosen
    }
    offers = tuple(withdrawn.get(offer, offer) for offer in catalog.offers)
    with repository.publication(passphrases) as publication:
        changed = msgspec.structs.replace(catalog, offers=offers)
        publication.put_catalog(product, encode_record(changed))
    return list(withdrawn.values())
