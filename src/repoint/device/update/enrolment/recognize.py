"""Recognizing which baseline of a product is installed, by the trees at its graft points."""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.strategy.strategy import strategy_of
from repoint.host.host import Host
from repoint.model.baseline import Baseline, Component
from repoint.model.catalog import Catalog, ListedBaseline
from repoint.model.encoding import decode_record
from repoint.model.tree import Entry
from repoint.repository import names
from repoint.tree.compare import Difference, compare_trees
from repoint.tree.digest import seal_of

Differences = dict[str, tuple[Difference, ...]]
"""How components differ from a baseline."""


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


class OtherComponentsError(EnrolmentRefusedError):
    """The files are those of a baseline that has other components than the device has grafts."""


@dataclass(frozen=True)
class Installed:
    """What is on the device.

    Attributes:
        points: The graft points.
        sources: The folder of each component's files.
        known: The entries of components that need not be read, because the store holds them.
        added: For a component that was changed in place, what its improvement had added. If a
            package manager has put a release over the improvement, that is still there.
        enrolled: True if the product is enrolled. Then a component may be gone with a full update;
            otherwise a person has just named all of them.
    """

    points: tuple[GraftPoint, ...]
    sources: Mapping[str, Path]
    known: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    added: Mapping[str, frozenset[Entry]] = field(default_factory=dict)
    enrolled: bool = False


def recognize(
    client: RepositoryClient,
    state: ProductState,
    host: Host,
    installed: Installed,
    wanted: BaselineFilter,
) -> Baseline:
    """Return the newest baseline whose trees are on the device.

    Baselines with other components than the device has graft points for do not fit, and are passed
    over. If the product is enrolled, one that lacks some of the components fits as well.

    Args:
        client: The repository.
        state: The product.
        host: The machine.
        installed: What is on the device.
        wanted: The candidate baselines.

    Raises:
        OtherComponentsError: The trees are those of a baseline that does not fit.
        DifferentTreesError: The trees are not those of a baseline.
        EnrolmentRefusedError: No baseline is for this system.
    """
    path = names.catalog_path(state.name)
    _require_product(client, state.name)
    catalog = decode_record(client.read(path), Catalog, path)
    search = _Search(host, installed, state.option)
    for listed in reversed(_candidates(catalog, wanted)):
        path = names.baseline_path(state.name, listed.name)
        if search.try_baseline(decode_record(client.read(path), Baseline, path)):
            break
    return search.result()


class _Search:
    """Compares baselines with what is on the device, the newest first."""

    def __init__(self, host: Host, installed: Installed, option: str) -> None:
        self._host = host
        self._option = option
        self._installed = installed
        self._release = host.base.release()
        self._scans: dict[tuple[str, ...], tuple[Entry, ...]] = {}
        self._found: Baseline | None = None
        self._smaller: Baseline | None = None
        self._other: Baseline | None = None
        self._other_is_installed = False
        self._foreign: Baseline | None = None
        self._nearest: tuple[Baseline, Differences] | None = None

    def try_baseline(self, baseline: Baseline) -> bool:
        """Compare a baseline. Return whether it is the one, and no other need be compared."""
        if baseline.system is not None and baseline.system.fields() != self._release:
            self._foreign = self._foreign or baseline
            return False
        differences = self._differences(baseline)
        named = {point.component for point in self._installed.points}
        known = {component.name for component in baseline.components}
        fits = known == named or (self._installed.enrolled and known < named)
        if not fits:
            # It is the installed one if all that can be compared is the same.
            is_installed = bool(known & named) and not differences
            if self._other is None or (is_installed and not self._other_is_installed):
                self._other, self._other_is_installed = baseline, is_installed
        elif not differences and known == named:
            self._found = baseline
        elif not differences:
            self._smaller = self._smaller or baseline
        elif self._nearest is None or _count(differences) < _count(self._nearest[1]):
            self._nearest = baseline, differences
        return self._found is not None

    def result(self) -> Baseline:
        """Return the baseline that is installed; see `recognize` for the errors."""
        found = self._found or self._smaller
        if found is not None:
            return found
        if self._other is not None and (self._other_is_installed or self._nearest is None):
            raise self._other_components(self._other)
        if self._nearest is not None:
            raise self._different(*self._nearest)
        assert self._foreign is not None  # noqa: S101  # there is at least one candidate
        system = " ".join(self._release.values()) or "a system without an ID and version"
        raise EnrolmentRefusedError(
            f"{self._foreign.product} {self._foreign.name} is for the system "
            f"{self._foreign.system}, and this is {system}",
            hint="Ask the vendor for a release for this system; nothing was changed",
        )

    def _differences(self, baseline: Baseline) -> Differences:
        differences: Differences = {}
        for point in self._installed.points:
            component = baseline.component(point.component)
            if component is None:
                continue
            entries = self._entries(point, component)
            if seal_of(entries) != component.seal:
                differences[component.name] = compare_trees(component.entries, entries)
        return differences

    def _entries(self, point: GraftPoint, component: Component) -> tuple[Entry, ...]:
        """Return what is on the device of a component."""
        if point.component in self._installed.known:
            return self._installed.known[point.component]
        strategy = strategy_of(point, self._host)
        source = self._installed.sources[point.component]
        key = (str(source), *strategy.scan_key(point, component))
        if key not in self._scans:
            self._scans[key] = strategy.scan(point, component, source) if source.is_dir() else ()
        added = self._installed.added.get(point.component)
        if not added:
            return self._scans[key]
        known = {entry.path for entry in component.entries}
        return tuple(e for e in self._scans[key] if e.path in known or e not in added)

    def _other_components(self, baseline: Baseline) -> OtherComponentsError:
        named = {point.component for point in self._installed.points}
        known = {component.name for component in baseline.components}
        missing = ", ".join(sorted(known - named))
        unknown = ", ".join(sorted(named - known))
        problems = [f"has no component {unknown}"] if unknown else []
        problems += [f"needs a graft point for {missing}"] if missing else []
        problem = " and ".join(problems)
        wanted = missing or ", ".join(sorted(known))
        hint = f"Name one with --graft for each of: {wanted}"
        if self._installed.enrolled:
            added = " ".join(f"{name}=FOLDER" for name in sorted(known - named))
            hint = f"Run `repoint graft add {added}{self._option}`"
        return OtherComponentsError(f"{baseline.product} {baseline.name} {problem}", hint=hint)

    def _different(self, baseline: Baseline, differences: Differences) -> DifferentTreesError:
        paths = ", ".join(p.path for p in self._installed.points if p.component in differences)
        return DifferentTreesError(
            f"The files at {paths} are not those of {baseline.product} {baseline.name}: "
            f"{_summary(differences)}",
            differences,
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


def _summary(differences: Mapping[str, tuple[Difference, ...]]) -> str:
    number = _count(differences)
    return f"{number} path differs" if number == 1 else f"{number} paths differ"


def _count(differences: Mapping[str, tuple[Difference, ...]]) -> int:
    return sum(map(len, differences.values()))
