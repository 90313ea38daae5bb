"""What the page does for a person while the browser looks on: one thing at a time, in a thread."""

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

_SHARES = {"download": (0.0, 0.6), "decode": (0.6, 0.2), "verify": (0.8, 0.2)}
"""Where each step of an installation begins, and how much of it the step is."""


@dataclass
class Job:
    """Something that is being done.

    Attributes:
        kind: What.
        product: To which product.
        label: What it is about, such as ``26.3.1 (a)``.
        parts: Components that go through all steps, one after the other.
        state: How it stands.
        step: The step that it is at; empty before the first.
        done: Bytes of the step that are done.
        total: Bytes of the step; 0 while that is not known.
        error: Why it failed.
        left_closed: Programs that it closed and could not start again.
        countdown: Seconds until the session ends; 0 where none counts.
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

    def as_it_stands(self) -> Job:
        """A copy that does not change while somebody looks at it."""
        return copy.copy(self)

    @property
    def running(self) -> bool:
        """Whether it is not over."""
        return self.state == "running"

    @property
    def stoppable(self) -> bool:
        """Whether it can still be stopped."""
        return self.kind == "install" or self.countdown > 0

    @property
    def stopping(self) -> bool:
        """Whether the person has asked to stop it."""
        return self._stop.is_set()

    @property
    def share(self) -> float:
        """How much of all is done, from 0 to 1."""
        begin, size = _SHARES.get(self.step, (0.0, 0.0))
        within = begin + size * (self.done / self.total if self.total else 0.0)
        return min(1.0, (self._part + within) / self.parts)

    def report(self, step: str, done: int, total: int) -> None:
        """Take down how far it is.

        Raises:
            CancelledError: The person has asked to stop it.
        """
        if self._stop.is_set():
            raise CancelledError("Stopped", hint="What was downloaded is kept")
        begins_anew = _SHARES.get(step, (0.0,))[0] < _SHARES.get(self.step, (0.0,))[0]
        if begins_anew and self._part + 1 < self.parts:
            self._part += 1
        self.step, self.done, self.total = step, done, total

    def count(self, left: int) -> bool:
        """Take down the seconds that are left; whether to go on counting."""
        self.countdown = left
        return not self.stopping

    def stop(self) -> None:
        """Ask it to stop at the next report."""
        self._stop.set()


class Jobs:
    """The jobs of a server: at most one runs, and the last one is remembered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Job | None = None
        self._thread: threading.Thread | None = None

    def start(self, job: Job, work: Callable[[Report], object]) -> bool:
        """Start a job; not while another one runs.

        Args:
            job: What is told of it.
            work: Does it; is given where to report to.

        Returns:
            Whether it was started.
        """
        with self._lock:
            if self._last is not None and self._last.running:
                return False
            self._last = job
            self._thread = threading.Thread(target=_run, args=(job, work), name=job.kind)
            self._thread.start()
            return True

    def settle(self, seconds: float) -> None:
        """Wait a moment for what runs: what is soon done needs no page that says it goes on."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def of(self, product: str) -> Job | None:
        """The running or last job of a product."""
        return self._last if self._last is not None and self._last.product == product else None

    def running(self) -> Job | None:
        """The job that runs."""
        return self._last if self._last is not None and self._last.running else None

    def forget(self, product: str) -> None:
        """Show no more what came of the last job."""
        with self._lock:
            if self._last is not None and self._last.product == product and not self._last.running:
                self._last = None

    def finish(self) -> None:
        """Ask what runs to stop, and wait for it."""
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
        # What ends because the person stopped it has not failed, whatever it ran into meanwhile.
        job.state = "stopped" if job.stopping else "failed"
    except Exception as error:  # a person must be told of a fault of ours, too
        job.error = RepointError(f"{type(error).__name__}: {error}")
        job.state = "failed"
        raise
    else:
        job.state = "done"
