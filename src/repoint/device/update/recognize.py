"""Recognizing which baseline of a product is installed, by the trees at its graft points."""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.strategy.strategy import strategy_of
from repoint.host.host import Host
from repoint.model.baseline import Baseline
from repoint.model.catalog import Catalog, ListedBaseline
from repoint.model.encoding import decode_record
from repoint.model.tree import Entry
from repoint.repository import names
from repoint.tree.compare import Difference, compare_trees
from repoint.tree.digest import seal_of


@dataclass(frozen=True)
class BaselineFilter:
    """The candidate baselines; "" matches any, or this machine's own platform."""

    platform: str = ""
    version: str = ""
    build: str = ""


class DifferentTreesError(EnrolmentRefusedError):
    """The trees at the graft points are not those of a baseline.

    Attributes:
        differences: The differences from the nearest baseline, by component.
    """

    def __init__(
        self, message: str, differences: Mapping[str, tuple[Difference, ...]], *, hint: str
    ) -> None:
        super().__init__(message, hint=hint)
        self.differences = differences


def recognize(
    client: RepositoryClient,
    state: ProductState,
    host: Host,
    points: Sequence[GraftPoint],
    wanted: BaselineFilter,
) -> Baseline:
    """Return the baseline whose trees are at the graft points.

    Args:
        client: The repository.
        state: The product.
        host: The machine.
        points: The graft points.
        wanted: The candidate baselines.

    Raises:
        DifferentTreesError: The trees are not those of a baseline.
        EnrolmentRefusedError: No baseline is for this system, or the components do not match.
    """
    path = names.catalog_path(state.name)
    _require_product(client, state.name)
    catalog = decode_record(client.read(path), Catalog, path)
    listed = _candidates(catalog, wanted)
    nearest: dict[str, tuple[Difference, ...]] | None = None
    name = listed[-1].name
    scans: dict[tuple[str, ...], tuple[Entry, ...]] = {}
    release = host.base.release()
    foreign: Baseline | None = None
    for candidate in reversed(listed):
        path = names.baseline_path(state.name, candidate.name)
        baseline = decode_record(client.read(path), Baseline, path)
        if baseline.system is not None and baseline.system.fields() != release:
            foreign = foreign or baseline
            continue
        _require_components(baseline, points)
        differences: dict[str, tuple[Difference, ...]] = {}
        for point in points:
            component = baseline.component(point.component)
            assert component is not None  # noqa: S101  # required above
            strategy = strategy_of(point, host)
            key = strategy.scan_key(point, component)
            if key not in scans:
                scans[key] = strategy.scan(point, component)
            if seal_of(scans[key]) != component.seal:
                differences[component.name] = compare_trees(component.entries, scans[key])
        if not differences:
            return baseline
        if nearest is None or _count(differences) < _count(nearest):
            nearest, name = differences, candidate.name
    if nearest is None:
        assert foreign is not None  # noqa: S101  # there is at least one candidate
        raise EnrolmentRefusedError(
            f"{state.name} {foreign.name} is for the system {foreign.system}, and this is "
            f"{' '.join(release.values()) or 'a system without an ID and version'}",
            hint="Ask the vendor for a release for this system; nothing was changed",
        )
    paths = ", ".join(p.path for p in points if p.component in nearest)
    raise DifferentTreesError(
        f"The files at {paths} are not those of {state.name} {name}: {_summary(nearest)}",
        nearest,
        hint="Reinstall the product, or enrol with the baseline that is installed; "
        "nothing was changed",
    )


def _require_product(client: RepositoryClient, product: str) -> None:
    if client.find(names.catalog_path(product)) is not None:
        return
    known = client.products()
    if product not in known:
        raise EnrolmentRefusedError(
            f"The repository at {client.url} has no product {product}",
            hint=f"It has: {', '.join(known) or 'none yet'}",
        )


def _candidates(catalog: Catalog, wanted: BaselineFilter) -> list[ListedBaseline]:
    platform = wanted.platform or f"linux-{machine.machine().lower()}"
    candidates = [
        listed
        for listed in catalog.baselines
        if listed.name.platform == platform
        and wanted.version in ("", listed.name.version)
        and wanted.build in ("", listed.name.build)
    ]
    if not candidates:
        request = " ".join(filter(None, [wanted.version, wanted.build, f"for {platform}"]))
        known = "; ".join(str(listed.name) for listed in catalog.baselines) or "none"
        raise EnrolmentRefusedError(
            f"{catalog.product} has no baseline {request}", hint=f"The repository has: {known}"
        )
    return sorted(candidates, key=lambda listed: listed.name.order)


def _require_components(baseline: Baseline, points: Sequence[GraftPoint]) -> None:
    named = {point.component for point in points}
    known = {component.name for component in baseline.components}
    if named != known:
        missing = ", ".join(sorted(known - named))
        unknown = ", ".join(sorted(named - known))
        problem = f"has no component {unknown}" if unknown else f"needs a graft point for {missing}"
        raise EnrolmentRefusedError(
            f"{baseline.product} {baseline.name} {problem}",
            hint=f"Name one with --graft for each of: {', '.join(sorted(known))}",
        )


def _summary(differences: Mapping[str, tuple[Difference, ...]]) -> str:
    number = _count(differences)
    return f"{number} path differs" if number == 1 else f"{number} paths differ"


def _count(differences: Mapping[str, tuple[Difference, ...]]) -> int:
    return sum(map(len, differences.values()))
