"""Enrolment: pin a product, and take over the trees at its graft points.

A full update of the vendor takes the same way: if it has put a newer baseline at the graft points,
the device moves to that baseline, and all improvements of the older one are superseded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.fetch.network import Network
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.enrolment import commit_enrolment, finish_enrolment, reset_to_baseline
from repoint.device.store.history.completion import complete_history
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Generation, GraftPoint
from repoint.device.store.trees.trees import add_tree
from repoint.device.strategy.strategy import strategy_of, strategy_type
from repoint.device.update.enrolment.preflight import require_place, require_points, require_store
from repoint.device.update.enrolment.recognize import BaselineFilter, Installed, recognize
from repoint.fs.durable import make_folder, write_durably
from repoint.fs.removal import remove_tree
from repoint.host.host import Host
from repoint.host.run import find_program
from repoint.model.address import Address
from repoint.model.baseline import Baseline
from repoint.tree.attributes import require_plain
from repoint.tree.build import TreeFiles


@dataclass(frozen=True)
class GraftRequest:
    """The graft point of a component, as a person names it."""

    path: Path
    program: tuple[str, ...] = ()
    strategy: str = "tree"


@dataclass(frozen=True)
class EnrolmentRequest:
    """What a person enrols.

    Attributes:
        url: The repository.
        root: The trusted root, from the vendor.
        baseline: The candidate baselines.
        network: How this device reaches repositories.
        ring: The ring of devices that this one belongs to in rollouts; empty for none.
    """

    url: str
    root: bytes
    baseline: BaselineFilter
    network: Network
    ring: str = ""


def graft_points(
    state: ProductState, host: Host, requests: Mapping[str, GraftRequest]
) -> tuple[GraftPoint, ...]:
    """Return the graft points that a person means. Changes nothing, and needs no lock.

    There are none if the product is enrolled already. `enroll` refuses that, after the recovery has
    finished an enrolment that was interrupted.

    Raises:
        EnrolmentRefusedError: The store or a graft point cannot be used.
    """
    require_store(state.store)
    if state.documents.enrolment_path.exists():
        return ()
    points = tuple(
        GraftPoint(
            name,
            str(strategy_type(r.strategy)(host).resolve(r.path, state.store)),
            _named_by_path(r.program),
            r.strategy,
        )
        for name, r in requests.items()
    )
    require_points(state, host, points)
    return points


def _named_by_path(command: tuple[str, ...]) -> tuple[str, ...]:
    """Name the program by its path, which no later `PATH` changes; `preflight` refuses the rest."""
    return (find_program(command[0]) or command[0], *command[1:]) if command else ()


def enroll(
    state: ProductState,
    host: Host,
    request: EnrolmentRequest,
    points: tuple[GraftPoint, ...],
    *,
    now: int,
) -> Enrolment:
    """Enrol a product. The store must be locked.

    The commit point is the rename of the enrolment. Before it, nothing at the graft points changes.
    After it, each graft point is exchanged for a link to a tree with the same seal.

    Args:
        state: The product to enrol.
        host: The machine.
        request: What to enrol.
        points: The result of `graft_points`.
        now: Seconds since 1970.

    Raises:
        DifferentTreesError: The trees at the graft points are not those of a baseline.
        EnrolmentRefusedError: It is enrolled already, or the store cannot hold it.
        RepointError: The repository cannot be reached or is not to be trusted.
    """
    if state.documents.enrolment_path.exists():
        raise EnrolmentRefusedError(
            f"{state.name} is enrolled already in {state.store.path}",
            hint=f"See `repoint status`; run {state.command('unenroll')} first to enrol it anew",
        )
    url = str(Address.parse(request.url))
    try:
        with explained(f"enrol {state.name}"):
            remove_tree(state.path)
            make_folder(state.path)
            write_durably(state.path / "root.json", request.root)
            client = RepositoryClient(
                url, state.metadata, state.downloads, request.root, request.network
            )
            client.has_news()
            client.refresh()
            sources = {point.component: Path(point.path).resolve() for point in points}
            installed = Installed(points, sources)
            baseline = recognize(client, state, host, installed, request.baseline)
            require_place(state, baseline, points, sources)
            take_trees(state, host, baseline, installed)
        enrolment = Enrolment(1, state.name, url, baseline.name, points, now, request.ring)
        adopt(state, host, baseline, enrolment, now)
    except BaseException:
        # If the disk refuses even that, the next command does it.
        with contextlib.suppress(OSError):
            if not state.documents.enrolment_path.exists():
                for point in points:
                    strategy_of(point, host).forget(point)
                remove_tree(state.path)
        raise
    return enrolment


def take_trees(state: ProductState, host: Host, baseline: Baseline, installed: Installed) -> None:
    """Copy the trees of a baseline into the store. Nothing refers to them yet.

    The graft points of components that the baseline does not have are left alone.
    """
    grafts = [point for point in installed.points if baseline.component(point.component)]
    for point in grafts:
        component = baseline.component(point.component)
        if component is not None and strategy_type(point.strategy).runs_from_store:
            require_plain(installed.sources[point.component], ignore=component.ignore)
    for point in grafts:
        component = baseline.component(point.component)
        assert component is not None  # noqa: S101  # filtered above
        source = installed.sources[point.component]
        add_tree(
            state.store,
            component.seal,
            component.entries,
            TreeFiles.copied_from(source, component.entries),
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


def adopt(
    state: ProductState, host: Host, baseline: Baseline, enrolment: Enrolment, now: int
) -> None:
    """Commit the enrolment and carry it out; the next command completes what is interrupted."""
    with explained(f"enrol {state.name} {baseline.name}", COMPLETED_NEXT):
        commit_enrolment(state, enrolment)
        reset_to_baseline(state, Generation.of(baseline.name))
        kept = []
        for point in enrolment.grafts:
            component = baseline.component(point.component)
            entries = component.entries if component is not None else ()
            kept.append(strategy_of(point, host).take(state, point, entries))
        complete_history(state, now=now, kept=kept, own=True)
        finish_enrolment(state)
