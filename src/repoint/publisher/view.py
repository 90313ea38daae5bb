"""What a repository holds, as one record."""

from __future__ import annotations

import datetime as dt

import msgspec

from repoint.model.catalog import ListedBaseline, Offer
from repoint.publisher.catalogs import read_catalog, read_improvement
from repoint.publisher.drafts import read_drafts
from repoint.repository.repository import Repository


class RoleView(msgspec.Struct, frozen=True):
    """A role of the repository. ``key_uris`` are where its private keys are, as far as known."""

    role: str
    version: int
    expires: dt.datetime
    threshold: int
    key_uris: tuple[str, ...]


class ImprovementView(msgspec.Struct, frozen=True):
    """A published improvement and what the catalog says of it. ``size`` in bytes."""

    offer: Offer
    title: str
    cves: tuple[str, ...]
    size: int


class ProductView(msgspec.Struct, frozen=True):
    """A product. ``drafts`` are labels of improvements that wait to be published."""

    product: str
    baselines: tuple[ListedBaseline, ...]
    improvements: tuple[ImprovementView, ...]
    drafts: tuple[str, ...]


class RepositoryView(msgspec.Struct, frozen=True):
    """Everything a vendor wants to see at a glance."""

    roles: tuple[RoleView, ...]
    products: tuple[ProductView, ...]


def view(repository: Repository, product: str | None) -> RepositoryView:
    """Read what the repository holds, of all products or of one."""
    roles = tuple(
        RoleView(r.role, r.version, r.expires, r.threshold, tuple(filter(None, r.keys.values())))
        for r in repository.roles()
    )
    if product is not None:
        repository.target_paths(product)  # says so where there is no such product
    chosen = [product] if product is not None else repository.products()
    return RepositoryView(roles, tuple(_product(repository, name) for name in chosen))


def _product(repository: Repository, product: str) -> ProductView:
    catalog = read_catalog(repository, product)
    improvements = []
    for offer in catalog.offers:
        improvement = read_improvement(repository, product, offer.baseline, offer.letter)
        cves = [c for a in improvement.advisories for f in a.advisory.fixes for c in f.cves]
        improvements.append(
            ImprovementView(
                offer, improvement.title, tuple(dict.fromkeys(cves)), improvement.download_size
            )
        )
    drafts = tuple(
        f"{d.improvement.label} for {d.improvement.baseline}"
        for d in read_drafts(repository, product)
    )
    return ProductView(product, catalog.baselines, tuple(improvements), drafts)
