"""A view of a repository's content, as one record."""

from __future__ import annotations

import datetime as dt

import msgspec

from repoint.model.baseline import BaselineName
from repoint.model.catalog import ListedBaseline, Offer
from repoint.model.halt import HaltedLetter
from repoint.model.improvement import LetteredAdvisory
from repoint.publisher.catalog.catalogs import read_catalog, read_halts, read_improvement
from repoint.publisher.catalog.withdrawn import withdrawn_like, withdrawn_within
from repoint.publisher.improve.drafts import Draft, read_drafts
from repoint.repository.repository import Repository


class RoleView(msgspec.Struct, frozen=True):
    """A role of the repository. ``key_uris`` locate its private keys, as far as they are known."""

    role: str
    version: int
    expires: dt.datetime
    threshold: int
    key_uris: tuple[str, ...]


class ImprovementView(msgspec.Struct, frozen=True):
    """A published improvement and its offer.

    Attributes:
        offer: The offer.
        title: Its title.
        cves: The CVE ids that it fixes.
        size: The download size in bytes.
        fixes_without_cve: How many fixes without a CVE id it has.
        halt: What stops its offer; None if nothing does.
    """

    offer: Offer
    title: str
    cves: tuple[str, ...]
    size: int
    fixes_without_cve: int = 0
    halt: HaltedLetter | None = None


class DraftView(msgspec.Struct, frozen=True):
    """An unpublished improvement.

    Attributes:
        label: Its label, such as ``26.3.1 (a)``.
        baseline: Its baseline.
        title: The title of its own advisory.
        created: When it was built, in seconds since 1970.
        size: The download size in bytes.
        advisories: What it fixes, letter by letter.
        dropped: Fixes of earlier letters that it does not have.
        withdrawn_within: Withdrawn letters that it contains, each with the reason.
        withdrawn_like: Withdrawn letters with the same content, each with the reason.
        folder: Where it is.
    """

    label: str
    baseline: BaselineName
    title: str
    created: int
    size: int
    advisories: tuple[LetteredAdvisory, ...]
    dropped: tuple[str, ...]
    withdrawn_within: tuple[str, ...]
    withdrawn_like: tuple[str, ...]
    folder: str


class ProductView(msgspec.Struct, frozen=True):
    """A product. ``drafts`` are the labels of unpublished improvements."""

    product: str
    baselines: tuple[ListedBaseline, ...]
    improvements: tuple[ImprovementView, ...]
    drafts: tuple[str, ...]


class RepositoryView(msgspec.Struct, frozen=True):
    """The roles and products of a repository."""

    roles: tuple[RoleView, ...]
    products: tuple[ProductView, ...]


def read_view(repository: Repository, product: str | None) -> RepositoryView:
    """Read the content of a repository, for one product or for all."""
    roles = tuple(
        RoleView(r.role, r.version, r.expires, r.threshold, tuple(filter(None, r.keys.values())))
        for r in repository.roles()
    )
    if product is not None:
        repository.target_paths(product)  # raises if there is no such product
    selected = [product] if product is not None else repository.products()
    return RepositoryView(roles, tuple(_product(repository, name) for name in selected))


def draft_view(repository: Repository, draft: Draft) -> DraftView:
    """Return a view of a draft."""
    improvement = draft.improvement
    return DraftView(
        improvement.label,
        improvement.baseline,
        improvement.title,
        improvement.created,
        improvement.download_size,
        improvement.advisories,
        improvement.dropped,
        tuple(withdrawn_within(repository, improvement)),
        tuple(withdrawn_like(repository, improvement)),
        str(draft.folder),
    )


def _product(repository: Repository, product: str) -> ProductView:
    catalog = read_catalog(repository, product)
    improvements = []
    halts = read_halts(repository, product)
    for offer in catalog.offers:
        improvement = read_improvement(repository, product, offer.baseline, offer.letter)
        improvements.append(
            ImprovementView(
                offer,
                improvement.title,
                improvement.cves(),
                improvement.download_size,
                improvement.fixes_without_cve(),
                halts.halted(offer),
            )
        )
    drafts = tuple(
        f"{d.improvement.label} for {d.improvement.baseline}"
        for d in read_drafts(repository, product)
    )
    return ProductView(product, catalog.baselines, tuple(improvements), drafts)
