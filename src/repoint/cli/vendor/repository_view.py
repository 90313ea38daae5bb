"""Printed form of a repository's content."""

from __future__ import annotations

from collections.abc import Sequence

from repoint.cli.output import moment, size
from repoint.cli.terminal import print
from repoint.cli.vendor.rollout_view import described, superseded_by
from repoint.model.catalog import ListedBaseline
from repoint.publisher.rollout.control import ShownRollout
from repoint.publisher.view import ProductView, RepositoryView


def print_view(view: RepositoryView) -> None:
    """Print a repository's roles, products, baselines and improvements."""
    print("Roles")
    width = max(len(role.role) for role in view.roles)
    for role in view.roles:
        location = ", ".join(role.key_uris) or "location unknown"
        print(
            f"  {role.role:<{width}}  version {role.version:<4} expires "
            f"{role.expires:%Y-%m-%d}  key {location}"
        )
    for product in view.products:
        _print_product(product)
    if not view.products:
        print("No products yet; register a release with `repoint baseline add`.")


def fixes_in_words(cves: Sequence[str], without: int) -> str:
    """Return what an improvement fixes: ``CVE-2023-4863 and 1 fix without a CVE id``."""
    more = [f"{without} fix{'' if without == 1 else 'es'} without a CVE id"] if without else []
    return " and ".join(filter(None, (", ".join(cves), *more)))


def _retired(baseline: ListedBaseline) -> str:
    if baseline.retired is None:
        return ""
    reason = f": {baseline.retired.reason}" if baseline.retired.reason else ""
    return f"; retired on {moment(baseline.retired.since)[:10]}{reason}"


def _print_product(product: ProductView) -> None:
    print(product.product)
    for baseline in product.baselines:
        print(f"  baseline {baseline.name}: {', '.join(baseline.seals)}{_retired(baseline)}")
    others = [ShownRollout(each.offer, each.halt) for each in product.improvements]
    for improvement in product.improvements:
        offer = improvement.offer
        shown = ShownRollout(offer, improvement.halt)
        state = superseded_by(shown, others) or described(offer, improvement.halt)
        fixes = fixes_in_words(improvement.cves, improvement.fixes_without_cve)
        print(f"  {offer.label} for {offer.baseline.platform} ({offer.baseline.build}), {state}")
        print(f"    {improvement.title}, {size(improvement.size)}; {fixes}")
    for draft in product.drafts:
        print(f"  draft {draft}, unpublished")
