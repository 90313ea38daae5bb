"""Long operations that the page runs for a person: one at a time, in a thread."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from repoint.device.errors import CancelledError
from repoint.model.errors import RepointError

Kind = Literal["check", "install", "restart", "remove"]
State = Literal["running", "done", "failed", "stopped"]
Report = Callable[[str, int, int], None]
"""Reports progress: the step, and its bytes done and in total."""

_STEPS = {"download": (0.0, 0.6), "decode": (0.6, 0.2), "verify": (0.8, 0.2)}
"""Each step of an installation: where it starts on the progress bar, and its share of the bar."""


class UnexpectedError(RepointError):
    """A job failed because of a bug in Repoint."""


@dataclass
class Job:
    """A running or finished operation.

    Attributes:
        kind: What it does.
        product: The product's name.
        label: The improvement, such as ``26.3.1 (a)``.
        parts: Components that go through all steps, one after the other.
        state: Whether it runs, or how it ended.
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

    def snapshot(self) -> Job:
        """Return a copy that does not change while a page is rendered from it."""
        return copy.copy(self)

    @property
    def running(self) -> bool:
        """True while the job runs."""
        return self.state == "running"

    @property
    def stoppable(self) -> bool:
        """True if the job can still be stopped."""
        return self.kind == "install" or self.countdown > 0

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


class Jobs:
    """The jobs of a server. At most one runs; the last one is kept until it is dismissed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Job | None = None
        self._thread: threading.Thread | None = None

    def start(self, job: Job, work: Callable[[Report], object]) -> bool:
        """Start a job unless another one runs.

        Args:
            job: Describes the job; records its progress and outcome.
            work: Does the work; receives the function to report progress with.

        Returns:
            Whether the job was started.
        """
        with self._lock:
            if self._last is not None and self._last.running:
                return False
            self._last = job
            self._thread = threading.Thread(target=_run, args=(job, work), name=job.kind)
            self._thread.start()
            return True

    def wait(self, seconds: float) -> None:
        """Wait for the running job, at most this many seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def latest(self, product: str) -> Job | None:
        """Return the running or last job of a product."""
        return self._last if self._last is not None and self._last.product == product else None

    def running(self) -> Job | None:
        """Return the running job."""
        return self._last if self._last is not None and self._last.running else None

    def dismiss(self, product: str) -> None:
        """Drop the outcome of a product's last job."""
        with self._lock:
            if self._last is not None and self._last.product == product and not self._last.running:
                self._last = None

    def shut_down(self) -> None:
        """Ask the running job to stop, and wait for it."""
        job, thread = self._last, self._thread
        if job is not None and job.running:
            job.stop()
        if thread is not None:
            thread.join()


def _run(job: Job, work: Callable[[Report], object]) -> None:
    try:
        work(job.report)
    except CancelledError:
        job.state = "stopped"
    except RepointError as error:
        job.error = error
        # A job that the person stopped has not failed, whatever error ended it.
        job.state = "stopped" if job.stopping else "failed"
    except Exception as error:  # the page must show a bug, too
        job.error = UnexpectedError(f"{type(error).__name__}: {error}")
        job.state = "failed"
        raise
    else:
        job.state = "done"
