"""What an improvement has in common with withdrawn letters, so that no fault comes back unseen."""

from __future__ import annotations

from collections.abc import Mapping

from repoint.model.baseline import BaselineName
from repoint.model.improvement import Improvement
from repoint.publisher.catalog.catalogs import read_catalog, read_improvement
from repoint.repository.repository import Repository


def withdrawn_within(repository: Repository, improvement: Improvement) -> list[str]:
    """Return the withdrawn letters that an improvement contains, each with the reason."""
    offers = read_catalog(repository, improvement.product).offers_for(improvement.baseline)
    letters = {each.letter for each in improvement.advisories}
    return [
        f"{offer.label}, which is withdrawn: {offer.reason}"
        for offer in offers
        if offer.state == "withdrawn" and offer.letter in letters
    ]


def withdrawn_with(
    repository: Repository, product: str, baseline: BaselineName, seals: Mapping[str, str]
) -> list[str]:
    """Return the withdrawn letters with the same content, each with the reason.

    Args:
        repository: The vendor's repository.
        product: The product.
        baseline: The baseline.
        seals: The seal of each improved component.
    """
    offers = read_catalog(repository, product).offers_for(baseline)
    return [
        f"{offer.label}, which was withdrawn: {offer.reason}"
        for offer in offers
        if offer.state == "withdrawn"
        and read_improvement(repository, product, baseline, offer.letter).seals() == seals
    ]


def withdrawn_like(repository: Repository, improvement: Improvement) -> list[str]:
    """Return the withdrawn letters with an improvement's content, each with the reason."""
    return withdrawn_with(
        repository, improvement.product, improvement.baseline, improvement.seals()
    )
