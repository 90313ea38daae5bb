"""Printed form of a repository's content."""

from __future__ import annotations

from repoint.cli.output import moment, size
from repoint.cli.terminal import print
from repoint.model.catalog import ListedBaseline
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


def _retired(baseline: ListedBaseline) -> str:
    if baseline.retired is None:
        return ""
    reason = f": {baseline.retired.reason}" if baseline.retired.reason else ""
    return f"; retired on {moment(baseline.retired.since)[:10]}{reason}"


def _print_product(product: ProductView) -> None:
    print(product.product)
    for baseline in product.baselines:
        print(f"  baseline {baseline.name}: {', '.join(baseline.seals)}{_retired(baseline)}")
    for improvement in product.improvements:
        offer = improvement.offer
        state = offer.state + (f": {offer.reason}" if offer.reason else "")
        print(f"  {offer.label} for {offer.baseline.platform} ({offer.baseline.build}), {state}")
        print(f"    {improvement.title}, {size(improvement.size)}; {', '.join(improvement.cves)}")
    for draft in product.drafts:
        print(f"  draft {draft}, unpublished")
