"""Progress of long commands on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from repoint.cli.output import size
from repoint.cli.terminal import OutputError, print
from repoint.model.printable import one_line

Report = Callable[[str, int, int], None]
"""Called with a step, the bytes done, and the total; 0 if it is not known yet."""

_SECONDS = 5.0
"""Seconds between two lines: a log stays short, and nobody takes the command for dead."""


@contextlib.contextmanager
def progress_bar(names: dict[str, str]) -> Iterator[Report]:
    """Show a progress bar for each step on a terminal; elsewhere a line every few seconds.

    Args:
        names: The label of each step.

    Yields:
        A function to call with the step, the bytes done, and the total; 0 if it is not known yet.
    """
    if not sys.stderr.isatty():
        with progress_lines(names) as report:
            yield report
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    label = TextColumn("  {task.description:<12}", markup=False)
    columns = (label, BarColumn(32), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(one_line(names.get(step, step)), total=total or None)
            bars.update(tasks[step], completed=done, total=total or None)

        yield report


@contextlib.contextmanager
def progress_lines(names: dict[str, str]) -> Iterator[Report]:
    """Print how far it is every few seconds, also while nothing is reported.

    Nothing is printed on a terminal, where a question may be open.
    """
    started = time.monotonic()
    latest = ["reading"]
    ended = threading.Event()

    def report(step: str, done: int, total: int) -> None:
        of = f" of {size(total)}" if total else ""
        latest[0] = f"{names.get(step, step)}: {size(done)}{of}"

    def tell() -> None:
        while not ended.wait(_SECONDS):
            with contextlib.suppress(OSError, OutputError):
                print(f"Working: {latest[0]}, {time.monotonic() - started:.0f} s", file=sys.stderr)

    teller = threading.Thread(target=tell, daemon=True)
    if not sys.stderr.isatty():
        teller.start()
    try:
        yield report
    finally:
        ended.set()
        if teller.is_alive():
            teller.join()
