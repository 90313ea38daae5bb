"""What an update run does for a fleet and for other programs, if somebody asked for it.

Nothing of this changes how an update run ends, not even a fault of Repoint itself. Nothing of it is
imported if nobody has asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from repoint.device.device import Device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.device.status.status import Status


def note_run(device: Device, product: str, status: Status | None) -> None:
    """Note what has happened, at the end of an update run.

    Args:
        device: The device.
        product: The product.
        status: The status, by someone who sees all processes; else None.
    """
    with contextlib.suppress(Exception):
        if device.reports_wanted(product):
            device.reports.note(product, status)


def send_reports(device: Device, products: Sequence[str]) -> None:
    """Send what waits. A server that does not do its part is not asked again in this run."""
    for product in products:
        with contextlib.suppress(Exception):
            if device.reports_wanted(product) and not device.reports.send(product):
                return


def needs_sight(device: Device, product: str) -> bool:
    """Return whether something is to be said that only a process with more rights can see."""
    with contextlib.suppress(Exception):
        if device.preferences.policy().rules.export:
            return True
        return device.reports_wanted(product) and device.reports.is_count_due(product)
    return False


def export_status(device: Device, seen: Mapping[str, Status], *, now: int) -> None:
    """Write the status for other programs, if the policy asks for it; else remove what is left.

    Args:
        device: The device.
        seen: The status of products, by someone who sees all processes. Others are read.
        now: Seconds since 1970.
    """
    with contextlib.suppress(Exception):
        policy, store = device.preferences.policy(), device.store
        if policy.rules.export:
            from repoint.device.report.export import write_export

            names = [state.name for state in store.enrolled()]
            write_export(store, [seen.get(name) or device.status(name) for name in names], now=now)
        elif (store.path / "export").is_dir() and not policy.problem:
            from repoint.device.report.export import remove_export

            remove_export(store)
