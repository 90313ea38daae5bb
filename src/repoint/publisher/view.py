"""A view of a repository's content, as one record."""

from __future__ import annotations

import datetime as dt

import msgspec

from repoint.model.catalog import ListedBaseline, Offer
from repoint.model.halt import HaltedLetter
from repoint.publisher.catalog.catalogs import read_catalog, read_halts, read_improvement
from repoint.publisher.improve.drafts import read_drafts
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
