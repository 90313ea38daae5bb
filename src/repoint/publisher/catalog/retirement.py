"""The end of a baseline's care: the catalog says that no further improvements are made for it."""

from __future__ import annotations

import msgspec

from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog, ListedBaseline, Retirement
from repoint.publisher.catalog.catalogs import put_catalog, read_catalog
from repoint.publisher.errors import RetiredBaselineError, UnknownBaselineError
from repoint.publisher.feeds.announce import announced
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository


def set_retirement(
    repository: Repository,
    product: str,
    name: BaselineName,
    retirement: Retirement | None,
    passphrases: Passphrases,
) -> None:
    """Retire a baseline, or with None take that back.

    Only the catalog changes. Its improvements stay on offer, because a device without them would be
    worse off.

    Raises:
        RetiredBaselineError: It is already retired; or it is not, and that was to be taken back.
        UnknownBaselineError: The catalog does not list it.
    """
    # Whatever another command changes, it has changed before the lock is held.
    with announced(repository, passphrases) as publication:
        catalog = read_catalog(repository, product)
        listed = catalog.listed(name)
        if listed is None:
            raise UnknownBaselineError(
                f"{product} has no baseline {name}", hint="`repoint show` lists the baselines"
            )
        if (listed.retired is None) == (retirement is None):
            raise _unchanged(product, listed)
        changed = msgspec.structs.replace(listed, retired=retirement)
        baselines = tuple(changed if each is listed else each for each in catalog.baselines)
        catalog = msgspec.structs.replace(catalog, baselines=baselines)
        put_catalog(publication, catalog)


def require_in_care(catalog: Catalog, name: BaselineName) -> None:
    """Refuse a retired baseline, for which no improvement may be built or published.

    Raises:
        RetiredBaselineError: It is retired.
    """
    listed = catalog.listed(name)
    if listed is not None and listed.retired is not None:
        raise RetiredBaselineError(
            f"{catalog.product} {name} is retired",
            hint="Take that back with `repoint baseline reinstate`, or improve another baseline",
        )


def _unchanged(product: str, listed: ListedBaseline) -> RetiredBaselineError:
    if listed.retired is not None:
        return RetiredBaselineError(
            f"{product} {listed.name} is already retired",
            hint="Take that back first with `repoint baseline reinstate` to change the reason",
        )
    return RetiredBaselineError(
        f"{product} {listed.name} is not retired", hint="`repoint show` lists the baselines"
    )
