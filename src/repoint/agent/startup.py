"""Activation at the start of the machine or of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from repoint.agent.journal_events import report_run
from repoint.agent.units.start import start_watch
from repoint.agent.update_run import UpdateRun
from repoint.device.device import Device
from repoint.device.errors import HealthCheckError
from repoint.host.systemd import journal
from repoint.model.errors import RepointError


def merge_at_start(
    device: Device, *, watch: Callable[[Path], None] | None = None, to: Path = journal.SOCKET
) -> list[tuple[str, RepointError | None]]:
    """Merge what fits the base, and have systemd watch what is on trial; see `BootTasks.merge`.

    Args:
        device: The device.
        watch: Starts the process that watches a store's trials; by default a unit of systemd.
        to: The journal's socket, for reports of what was rolled back.

    Returns:
        Each product, and its error if it could not be merged.
    """
    results = device.boot.merge()
    if device.boot.on_trial():
        try:
            if watch is None:
                start_watch(device.store.path, device.host.systemd)
            else:
                watch(device.store.path)
        except RepointError as error:
            results.append(("repoint", error))
    for product, failure in results:
        if isinstance(failure, HealthCheckError):
            report_run(UpdateRun(product, errors=[failure]), device.store.path, to=to)
    return results
