"""What the start of the machine, or of a session, brings into force, and who watches it then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from repoint.agent.journal_events import tell
from repoint.agent.units.start import start_watch
from repoint.agent.update_run import UpdateRun
from repoint.device.device import Device
from repoint.device.errors import HealthCheckError
from repoint.host import journal
from repoint.model.errors import RepointError


def settle(
    device: Device, *, watch: Callable[[Path], None] = start_watch, to: Path = journal.SOCKET
) -> list[tuple[str, RepointError | None]]:
    """Put in force what fits, and let be watched what is on trial: see `Device.settle`.

    Args:
        device: The device.
        watch: Starts what watches the trials of a store.
        to: The journal's socket, to which it is told what was taken back.

    Returns:
        Each product, and why it could not be brought in order, if it could not.
    """
    done = device.settle()
    if device.on_trial():
        try:
            watch(device.store.path)
        except RepointError as error:
            done.append(("repoint", error))
    for product, failure in done:
        if isinstance(failure, HealthCheckError):
            tell(UpdateRun(product, errors=[failure]), device.store.path, to=to)
    return done
