"""Enrolment: pinning a product, and taking over the trees that stand on the device.

The same code serves the vendor's full update: where it has put a newer baseline at the graft
points, the device moves to that baseline, and all improvements of the older one are superseded.
"""

from __future__ import annotations

import contextlib
import platform as machine
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.fetch.fetcher import check_url
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.enrolment import commit_enrolment, finish_enrolment, reset_to_baseline
from repoint.device.store.history_completion import complete_history
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Generation, GraftPoint
from repoint.device.store.trees import add_tree, taken_from
from repoint.device.strategy.strategy import replaced_points, strategy_of, strategy_type
from repoint.fs.durable import make_folder, write_durably
from repoint.host.host import Host
from repoint.model.baseline import Baseline
from repoint.model.catalog import Catalog, ListedBaseline
from repoint.model.encoding import decode_record
from repoint.model.tree import Entry
from repoint.repository import names
from repoint.tree.compare import Difference, compare_trees
from repoint.tree.digest import seal_of


@dataclass(frozen=True)
class GraftRequest:
    """A component's graft point as a person names it."""

    path: Path
    program: tuple[str, ...] = ()
    strategy: str = "tree"


@dataclass(frozen=True)
class BaselineFilter:
    """Which baseline a person names; what is empty is found out from the trees."""

    platform: str = ""
    version: str = ""
    build: str = ""


class DifferentTreesError(EnrolmentRefusedError):
    """What stands at the graft points is no baseline of the product.

    Attributes:
        differences: What differs from the nearest baseline, by component.
    """

    def __init__(
        self, message: str, differences: Mapping[str, tuple[Difference, ...]], *, hint: str
    ) -> None:
        super().__init__(message, hint=hint)
        self.differences = differences


def enroll(
    state: ProductState,
    host: Host,
    url: str,
    root: bytes,
    requests: Mapping[str, GraftRequest],
    wanted: BaselineFilter,
    *,
    now: int,
) -> Enrolment:
    """Enrol a product. The store must be locked.

    Until the enrolment is written, by one rename, nothing at the graft points is touched; after it
    every graft point is exchanged for a link, one by one, to a tree with the same seal.

    Args:
        state: Where to enrol it.
        host: The machine.
        url: The repository.
        root: The trusted root, from the vendor.
        requests: The graft point of each component.
        wanted: Which baseline it should be.
        now: Seconds since 1970.

    Raises:
        DifferentTreesError: What stands there is not what the baseline says.
        EnrolmentRefusedError: It is enrolled already, or a graft point cannot be used.
        RepointError: The repository cannot be reached or is not to be trusted.
    """
    if (state.path / "enrolment.json").exists():
        raise EnrolmentRefusedError(
            f"{state.name} is enrolled already in {state.store.path}",
            hint="See `repoint status`; take it out with `repoint unenroll` first",
        )
    url = check_url(url)
    points = _graft_points(state, host, requests)
    try:
        with explained(f"enrol {state.name}"):
            shutil.rmtree(state.path, ignore_errors=True)
            make_folder(state.path)
            write_durably(state.path / "root.json", root)
            client = RepositoryClient(url, state.metadata, state.downloads, root)
            client.has_news()
            client.refresh()
            baseline = _recognise(client, state, host, points, wanted)
            _take_trees(state, host, baseline, points)
        enrolment = Enrolment(1, state.name, url, baseline.name, points, now)
        _adopt(state, host, baseline, enrolment, now)
    except BaseException:
        # Where the disk refuses even that, the next start does it.
        with contextlib.suppress(OSError):
            if not (state.path / "enrolment.json").exists():
                for point in points:
                    strategy_of(point, host).forget(point)
                shutil.rmtree(state.path)
        raise
    return enrolment


def supersede(
    state: ProductState, host: Host, client: RepositoryClient, *, now: int
) -> Generation | None:
    """Move to the baseline that a full update has put at the graft points, if one has.

    Args:
        state: The product; the store must be locked.
        host: The machine.
        client: Its repository.
        now: Seconds since 1970.

    Returns:
        The baseline that is active now, if the device has moved.

    Raises:
        DifferentTreesError: What stands there is no baseline of the product.
    """
    enrolment = state.documents.enrolment()
    if not replaced_points(state, host):
        return None
    client.forget_version()
    client.has_news()
    client.refresh()
    wanted = BaselineFilter(platform=enrolment.baseline.platform)
    baseline = _recognise(client, state, host, enrolment.grafts, wanted)
    with explained(f"move to {baseline.name}"):
        _take_trees(state, host, baseline, enrolment.grafts)
    moved = Enrolment(1, state.name, enrolment.repository, baseline.name, enrolment.grafts, now)
    _adopt(state, host, baseline, moved, now)
    return state.links.active()


def _take_trees(
    state: ProductState, host: Host, baseline: Baseline, grafts: Sequence[GraftPoint]
) -> None:
    """Copy what stands at the graft points into the store; nothing refers to it yet."""
    for point in grafts:
        component = baseline.component(point.component)
        assert component is not None  # noqa: S101  # recognised by its components
        stands = Path(point.path).resolve()
        add_tree(
            state.store,
            component.seal,
            component.entries,
            made={},
            taken=taken_from(stands, component.entries),
            share=False,
            ignore=component.ignore,
        )
    seals = {component.name: component.seal for component in baseline.components}
    generation = Generation.of(baseline.name)
    state.generations.add(generation, seals, {"baseline.json": baseline})
    try:
        for point in grafts:
            strategy_of(point, host).prepare(state, point)
    except OSError:
        with contextlib.suppress(OSError):
            for point in grafts:
                strategy_of(point, host).forget(point)
        raise


def _adopt(
    state: ProductState, host: Host, baseline: Baseline, enrolment: Enrolment, now: int
) -> None:
    """Commit the enrolment and follow it; what is cut off here, the next start does."""
    with explained(f"enrol {state.name} {baseline.name}", COMPLETED_NEXT):
        commit_enrolment(state, enrolment)
        reset_to_baseline(state, Generation.of(baseline.name))
        kept = []
        for point in enrolment.grafts:
            component = baseline.component(point.component)
            entries = component.entries if component is not None else ()
            kept.append(strategy_of(point, host).take(state, point, entries))
        complete_history(state, now=now, kept=kept)
        finish_enrolment(state)


def _graft_points(
    state: ProductState, host: Host, requests: Mapping[str, GraftRequest]
) -> tuple[GraftPoint, ...]:
    points = tuple(
        GraftPoint(
            name,
            str(strategy_type(r.strategy)(host).resolve(r.path, state.store)),
            r.program,
            r.strategy,
        )
        for name, r in requests.items()
    )
    for one in points:
        for other in points:
            if one is not other and _conflict(one, other):
                raise EnrolmentRefusedError(
                    f"The graft points of {one.component} and {other.component} lie in each other",
                    hint="Name a folder of its own for each component",
                )
    return points


def _conflict(one: GraftPoint, other: GraftPoint) -> bool:
    """Whether a graft point lies in another, and their strategy cannot tell their files apart."""
    strategy, other_strategy = strategy_type(one.strategy), strategy_type(other.strategy)
    if strategy is other_strategy and strategy.shares_folders:
        return False
    inner, outer = strategy.reach(one), other_strategy.reach(other)
    return any(path.is_relative_to(folder) for path in inner for folder in outer)


def _recognise(
    client: RepositoryClient,
    state: ProductState,
    host: Host,
    points: Sequence[GraftPoint],
    wanted: BaselineFilter,
) -> Baseline:
    """Find the baseline whose trees stand at the graft points."""
    path = names.catalog_path(state.name)
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
            f"{' '.join(release.values()) or 'none that says what it is'}",
            hint="Ask the vendor for a release for this system; nothing was changed",
        )
    where_ = ", ".join(p.path for p in points if p.component in nearest)
    raise DifferentTreesError(
        f"What stands at {where_} is not {state.name} {name}: {_said(nearest)}",
        nearest,
        hint="Reinstall the product, or enrol with the baseline that is installed; "
        "nothing was changed",
    )


def _candidates(catalog: Catalog, wanted: BaselineFilter) -> list[ListedBaseline]:
    platform = wanted.platform or f"linux-{machine.machine().lower()}"
    found = [
        listed
        for listed in catalog.baselines
        if listed.name.platform == platform
        and wanted.version in ("", listed.name.version)
        and wanted.build in ("", listed.name.build)
    ]
    if not found:
        said = " ".join(filter(None, [wanted.version, wanted.build, f"for {platform}"]))
        known = "; ".join(str(listed.name) for listed in catalog.baselines) or "none"
        raise EnrolmentRefusedError(
            f"{catalog.product} has no baseline {said}", hint=f"The repository has: {known}"
        )
    return sorted(found, key=lambda listed: listed.name.order)


def _require_components(baseline: Baseline, points: Sequence[GraftPoint]) -> None:
    asked = {point.component for point in points}
    known = {component.name for component in baseline.components}
    if asked != known:
        missing = ", ".join(sorted(known - asked))
        unknown = ", ".join(sorted(asked - known))
        said = f"has no component {unknown}" if unknown else f"needs a graft point for {missing}"
        raise EnrolmentRefusedError(
            f"{baseline.product} {baseline.name} {said}",
            hint=f"Name one with --graft for each of: {', '.join(sorted(known))}",
        )


def _said(differences: Mapping[str, tuple[Difference, ...]]) -> str:
    number = _count(differences)
    return f"{number} path differs" if number == 1 else f"{number} paths differ"


def _count(differences: Mapping[str, tuple[Difference, ...]]) -> int:
    return sum(map(len, differences.values()))
