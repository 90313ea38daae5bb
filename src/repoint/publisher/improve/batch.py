"""Many improvements in one run: one for each baseline that a fix concerns.

Baselines share nothing but finished patches, so they are built in parallel, and each is the same as
if it had been built alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace

from repoint.fs.scratch import folders_above
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from repoint.model.improvement import Improvement
from repoint.model.version import label
from repoint.publisher.improve.corrections import settled
from repoint.publisher.improve.drafts import draft_folder
from repoint.publisher.improve.improve import build
from repoint.publisher.improve.layers import LayerComparison
from repoint.publisher.improve.patches import PatchStore, Work
from repoint.publisher.improve.prepare import Prepared, State, differing_others, prepared
from repoint.publisher.improve.request import ImprovementRequest
from repoint.repository.repository import Repository


@dataclass(frozen=True)
class Outcome:
    """What came of the work for one baseline.

    Attributes:
        request: What was asked for, without the components that are left out.
        state: Whether it had to be built. None if that could not be found out.
        label: The improvement's label; empty if there is none.
        layers: What changes, by component.
        left_out: Components that are fixed in the baseline already.
        dropped: Fixes of earlier letters that the improvement does not have.
        withdrawn: Withdrawn letters with the same content, each with the reason.
        extends_draft: The label of the unpublished draft that it extends; empty if there is none.
        unadvised: Components that differ too and have no fix in the advisory, in a plan.
        improvement: The improvement, if it is there.
        seconds: How long it took.
        error: Why it could not be built, if it could not.
    """

    request: ImprovementRequest
    state: State | None = None
    label: str = ""
    layers: dict[str, LayerComparison] | None = None
    left_out: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    extends_draft: str = ""
    unadvised: tuple[str, ...] = ()
    improvement: Improvement | None = None
    seconds: float = 0.0
    error: RepointError | None = None


@dataclass(frozen=True)
class Run:
    """How a run is carried out.

    Attributes:
        executor: Carries out the work for several baselines at once, in threads.
        workers: Encoding processes of each patch; None for one per processor.
        progress: Called with a baseline, a component, the bytes done and the total.
    """

    executor: Executor
    workers: int | None = None
    progress: Callable[[BaselineName, str, int, int], None] = lambda *_: None


class _StoppedError(Exception):
    """The run is over; what a thread still does is of no use."""


def build_all(
    repository: Repository, requests: Sequence[ImprovementRequest], run: Run, *, created: int
) -> list[Outcome]:
    """Build improvements as drafts, each as `improve` does, and take those that are there already.

    An improvement that cannot be built does not keep the others from being built. After an
    interruption, the next run goes on with the drafts and the patches that were finished.

    Args:
        repository: The vendor's repository.
        requests: At most one for each baseline of a product.
        run: How.
        created: Seconds since 1970.

    Returns:
        What came of each request, in their order.

    Raises:
        OSError: A file cannot be read or written, or the disk is full. The run ends.
    """
    requests = settled(repository, requests)
    store = PatchStore(repository, requests[0].product)
    stopped = threading.Event()

    def one(request: ImprovementRequest) -> Outcome:
        def report(component: str, done: int, total: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            run.progress(request.baseline, component, done, total)

        def act(ready: Prepared) -> Improvement | None:
            if ready.state != "new":
                return ready.before.improvement if ready.before is not None else None
            return build(
                repository, ready, created, Work(store, run.workers, report)
            ).draft.improvement

        return _outcome(repository, request, act)

    outcomes = _carry_out(repository, requests, run, one, stopped)
    if not any(outcome.error for outcome in outcomes):
        store.clear()
    return outcomes


def plan_all(
    repository: Repository, requests: Sequence[ImprovementRequest], run: Run
) -> list[Outcome]:
    """Return what `build_all` would build, and what it would leave; nothing is built.

    Raises:
        OSError: A file cannot be read or written.
    """

    def one(request: ImprovementRequest) -> Outcome:
        unadvised: tuple[str, ...] = ()

        def look(ready: Prepared) -> None:
            nonlocal unadvised
            unadvised = differing_others(ready)

        return replace(_outcome(repository, request, look), unadvised=unadvised)

    requests = settled(repository, requests)
    return _carry_out(repository, requests, run, one, threading.Event())


def _carry_out(
    repository: Repository,
    requests: Sequence[ImprovementRequest],
    run: Run,
    one: Callable[[ImprovementRequest], Outcome],
    stopped: threading.Event,
) -> list[Outcome]:
    targets = [draft_folder(repository, each.product, each.baseline, "a") for each in requests]
    futures: list[Future[Outcome]] = []
    with folders_above(targets, mode=0o700):
        try:
            for request in requests:
                # One by one: an interruption in between must not lose those that are submitted.
                futures.append(run.executor.submit(one, request))  # noqa: PERF401
            return [future.result() for future in futures]
        finally:
            stopped.set()
            for future in futures:
                future.cancel()
            wait(futures)


def _outcome(
    repository: Repository,
    request: ImprovementRequest,
    act: Callable[[Prepared], Improvement | None],
) -> Outcome:
    started = time.monotonic()
    outcome = Outcome(request)
    try:
        with prepared(repository, request, reuse=True) as ready:
            outcome = Outcome(ready.request, ready.state, "", ready.layers, ready.left_out)
            if ready.state != "unconcerned":
                outcome = replace(
                    outcome,
                    label=label(request.baseline.version, ready.letter),
                    dropped=ready.dropped,
                    withdrawn=ready.withdrawn,
                    extends_draft=ready.extends_draft,
                    improvement=act(ready),
                )
    except RepointError as error:
        outcome = replace(outcome, error=error)
    return replace(outcome, seconds=time.monotonic() - started)
