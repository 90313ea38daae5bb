"""The status for other programs on this device: a SQLite file and a text file in ``STORE/export``.

The files are written only if the policy asks for them, and removed once it does not. Readers see a
whole file at any instant, because each is replaced by a rename.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repoint.device.os_errors import explained
from repoint.device.report.metrics import as_metrics
from repoint.device.status.status import Status
from repoint.device.store.store import Store
from repoint.fs.durable import make_folder, write_durably
from repoint.fs.removal import remove_tree

DATABASE = "status.sqlite"
METRICS = "repoint.prom"


def export_folder(store: Store) -> Path:
    """Return the folder of the exported files."""
    return store.path / "export"


def write_export(store: Store, statuses: Sequence[Status], *, now: int) -> None:
    """Replace both files.

    Args:
        store: The store.
        statuses: The status of each product, by someone who sees all processes.
        now: Seconds since 1970.

    Raises:
        StoreWriteError: The disk is full, or the account may not write.
    """
    from repoint.device.report.database import make_database

    folder = export_folder(store)
    with explained(f"write to {folder}"):
        make_folder(folder)
        made = make_database(statuses, now=now)
        write_durably(folder / DATABASE, made)
        write_durably(folder / METRICS, as_metrics(statuses, now=now).encode())


def remove_export(store: Store) -> None:
    """Remove the files, if there are any."""
    folder = export_folder(store)
    if folder.is_dir():
        with explained(f"remove {folder}"):
            remove_tree(folder)
