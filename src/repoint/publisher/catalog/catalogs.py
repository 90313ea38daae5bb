"""The published documents of a product, and changes of its catalog."""

from __future__ import annotations

import msgspec

from repoint.model.baseline import Baseline, BaselineName
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record, encode_record
from repoint.model.halt import Halt
from repoint.model.improvement import Improvement
from repoint.model.texts import check_reason
from repoint.model.version import label, parse_label
from repoint.publisher.errors import AlreadyWithdrawnError, UnknownImprovementError
from repoint.publisher.feeds.announce import announced
from repoint.repository import names
from repoint.repository.errors import UnknownProductError
from repoint.repository.keys import Passphrases
from repoint.repository.publication import Publication
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


def read_halts(repository: Repository, product: str) -> Halt:
    """Return the published halts of a product."""
    path = names.halt_path(product)
    if not repository.target_exists(path):
        return Halt("1.0", product)
    return decode_record(repository.read_target(path), Halt, path)


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


def put_catalog(publication: Publication, catalog: Catalog) -> None:
    """Publish a catalog. While a rollout in it is under way, the timestamp lives one day."""
    ends = [
        offer.rollout.end
        for offer in catalog.offers
        if offer.state == "offered" and offer.rollout is not None
    ]
    publication.keep_fresh(catalog.product, max(ends, default=0))
    publication.put_catalog(catalog.product, encode_record(catalog))


class Selection(msgspec.Struct, frozen=True):
    """The offers of one improvement.

    Attributes:
        product: The product.
        label: The improvement, such as ``26.3.1 (a)``.
        platform: Only the baselines for this platform; None for all platforms.
        build: Only the baseline of this build; None for all builds.
    """

    product: str
    label: str
    platform: str | None = None
    build: str | None = None

    def of(self, catalog: Catalog) -> list[Offer]:
        """Return the offers in a catalog.

        Raises:
            UnknownImprovementError: There is none.
        """
        version, letter = parse_label(self.label)
        found = [
            offer
            for offer in catalog.offers
            if (offer.baseline.version, offer.letter) == (version, letter)
            and self.platform in (None, offer.baseline.platform)
            and self.build in (None, offer.baseline.build)
        ]
        if not found:
            on = "" if self.platform is None else f" for {self.platform}"
            names_of = {
                f"{offer.label} for {offer.baseline.platform}" if on else offer.label
                for offer in catalog.offers
            }
            known = ", ".join(sorted(names_of)) or "none"
            raise UnknownImprovementError(
                f"{self.product} has no published improvement {label(version, letter)}{on}",
                hint=f"Published improvements: {known}",
            )
        return found


def withdraw(
    repository: Repository, selection: Selection, reason: str, passphrases: Passphrases, now: int
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
    reason = check_reason(reason)
    # Whatever another command changes, it has changed before the lock is held.
    with announced(repository, passphrases) as publication:
        catalog = read_catalog(repository, selection.product)
        withdrawn = {
            offer: msgspec.structs.replace(offer, state="withdrawn", since=now, reason=reason)
            for offer in _to_withdraw(catalog, selection)
        }
        offers = tuple(withdrawn.get(offer, offer) for offer in catalog.offers)
        put_catalog(publication, msgspec.structs.replace(catalog, offers=offers))
    return list(withdrawn.values())


def _to_withdraw(catalog: Catalog, selection: Selection) -> list[Offer]:
    selected = selection.of(catalog)
    live = [offer for offer in selected if offer.state != "withdrawn"]
    if not live:
        raise AlreadyWithdrawnError(
            f"{catalog.product} {selected[0].label} is already withdrawn: {selected[0].reason}",
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
