"""Long operations that the page runs for people: one at a time, in a thread, the others in a queue.

Any account may check, only some may change something. So a change goes ahead of waiting checks, and
the outcome of a check never replaces that of a change.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from repoint.device.errors import CancelledError
from repoint.model.errors import RepointError

Kind = Literal["check", "install", "restart", "remove"]
State = Literal["waiting", "running", "done", "failed", "stopped"]
Report = Callable[[str, int, int], None]
"""Reports progress: the step, and its bytes done and in total."""
Work = Callable[[Report], object]
"""Does the work of a job."""

_STEPS = {"download": (0.0, 0.6), "decode": (0.6, 0.2), "verify": (0.8, 0.2)}
"""Each step of an installation: where it starts on the progress bar, and its share of the bar."""


class UnexpectedError(RepointError):
    """A job failed because of a bug in Repoint."""


class ChangedMeanwhileError(RepointError):
    """While a job waited, something else was offered, staged or activated. Nothing was changed."""


@dataclass
class Job:
    """A running or finished operation.

    Attributes:
        kind: What it does.
        product: The product's name.
        label: The improvement, such as ``26.3.1 (a)``.
        uid: The account that started it.
        parts: Components that go through all steps, one after the other.
        state: Whether it waits for others or runs, or how it ended.
        step: The current step; empty before the first.
        done: Bytes of the step that are done.
        total: Bytes of the step; 0 while unknown.
        error: Why it failed.
        left_closed: Programs that it closed and could not start again.
        countdown: Seconds until the session ends; 0 without a countdown.
    """

    kind: Kind
    product: str
    label: str = ""
    uid: int = 0
    parts: int = 1
    state: State = "running"
    step: str = ""
    done: int = 0
    total: int = 0
    error: RepointError | None = None
    left_closed: tuple[str, ...] = ()
    countdown: int = 0
    _part: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def snapshot(self) -> Job:
        """Return a copy that does not change while a page is rendered from it."""
        return copy.copy(self)

    @property
    def running(self) -> bool:
        """True until the job has ended."""
        return self.state in ("waiting", "running")

    @property
    def stoppable(self) -> bool:
        """True if the job can still be stopped."""
        return self.kind == "install" or self.state == "waiting" or self.countdown > 0

    @property
    def stopping(self) -> bool:
        """True once somebody has asked the job to stop."""
        return self._stop.is_set()

    @property
    def progress(self) -> float:
        """How much of the job is done, from 0 to 1."""
        start, share = _STEPS.get(self.step, (0.0, 0.0))
        within = start + share * (self.done / self.total if self.total else 0.0)
        return min(1.0, (self._part + within) / self.parts)

    def report(self, step: str, done: int, total: int) -> None:
        """Record progress.

        Raises:
            CancelledError: Somebody has asked the job to stop.
        """
        if self._stop.is_set():
            raise CancelledError("Stopped", hint="What was downloaded is kept")
        next_part = _STEPS.get(step, (0.0,))[0] < _STEPS.get(self.step, (0.0,))[0]
        if next_part and self._part + 1 < self.parts:
            self._part += 1
        self.step, self.done, self.total = step, done, total

    def count_down(self, seconds: int) -> bool:
        """Record the seconds left before a restart. False if the countdown should end."""
        self.countdown = seconds
        return not self.stopping

    def stop(self) -> None:
        """Ask the job to stop at its next report."""
        self._stop.set()

    def end(self, state: State, error: RepointError | None = None) -> None:
        """Record how the job ended."""
        self.error = error
        self.state = state
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Wait for the end of the job, at most this many seconds."""
        self._ended.wait(seconds)


class Jobs:
    """The jobs of a server. At most one runs. Outcomes are kept until they are dismissed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[tuple[Job, Work]] = []  # the first one runs
        self._outcomes: dict[str, Job] = {}
        self._thread: threading.Thread | None = None

    def start(self, job: Job, work: Work) -> bool:
        """Run a job now, or after the jobs that were started before.

        Args:
            job: Describes the job; records its progress and outcome.
            work: Does the work; receives the function to report progress with.

        Returns:
            False if the job is not needed: a product has one pending check, or one pending change.
        """
        with self._lock:
            pending = [other for other, _ in self._pending]
            kinds = {other.kind for other in pending if other.product == job.product}
            if kinds - {"check"} or job.kind in kinds:
                return False
            place = len(pending)
            if job.kind != "check":
                waiting = range(1, len(pending))
                place = next((n for n in waiting if pending[n].kind == "check"), place)
                self._outcomes.pop(job.product, None)
            job.state = "waiting" if pending else "running"
            self._pending.insert(place, (job, work))
            if len(self._pending) == 1:
                self._thread = threading.Thread(target=self._run_all, name="jobs")
                self._thread.start()
            return True

    def stop(self, job: Job) -> None:
        """Stop a job: at once if it still waits, otherwise at its next report."""
        with self._lock:
            job.stop()
            if job.state == "waiting" and any(other is job for other, _ in self._pending[1:]):
                self._pending = [entry for entry in self._pending if entry[0] is not job]
                job.end("stopped")
                self._outcomes[job.product] = job

    def latest(self, product: str) -> Job | None:
        """Return the pending change or check of a product, or its last outcome."""
        with self._lock:
            pending = [job for job, _ in self._pending if job.product == product]
            changes = [job for job in pending if job.kind != "check"]
            return next(iter(changes + pending), self._outcomes.get(product))

    def pending(self) -> bool:
        """Return whether a job runs or waits."""
        return bool(self._pending)

    def dismiss(self, product: str) -> None:
        """Drop the outcome of a product's last job."""
        with self._lock:
            self._outcomes.pop(product, None)

    def shut_down(self) -> None:
        """Ask all jobs to stop, and wait for the running one."""
        with self._lock:
            for job, _ in self._pending:
                job.stop()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run_all(self) -> None:
        while True:
            job, work = self._pending[0]
            _run(job, work)
            with self._lock:
                earlier = self._outcomes.get(job.product)
                if job.kind != "check" or earlier is None or earlier.kind == "check":
                    self._outcomes[job.product] = job
                del self._pending[0]
                if not self._pending:
                    return


def _run(job: Job, work: Work) -> None:
    if job.stopping:
        job.end("stopped")
        return
    job.state = "running"
    try:
        work(job.report)
    except CancelledError:
        job.end("stopped")
    except RepointError as error:
        # A job that the person stopped has not failed, whatever error ended it.
        job.end("stopped" if job.stopping else "failed", error)
    except Exception as error:  # the page must show a bug, too
        job.end("failed", UnexpectedError(f"{type(error).__name__}: {error}"))
        logging.getLogger(__name__).exception("A job of the Settings page failed")
    else:
        job.end("done")
