"""What programs see of a layer on the system, whatever it is merged from."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from repoint.device.store.records import GraftPoint
from repoint.device.strategy.extension import ExtensionPart
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.tree.compare import Difference, compare_trees
from repoint.tree.scan import read_entry


def unseen(parts: Iterable[ExtensionPart]) -> list[Difference]:
    """What of a layer programs do not see on the system."""
    found: list[Difference] = []
    for part in parts:
        for entry in part.changed():
            seen = _seen(part.point, entry.path)
            found += compare_trees([entry], [] if seen is None else [seen])
        found += [
            Difference(entry.path, "added")
            for entry in part.removed()
            if _seen(part.point, entry.path) is not None
        ]
    return found


def is_unreadable(parts: Iterable[ExtensionPart]) -> bool:
    """Whether the kernel refuses to show what a layer changes: it is not what was signed."""
    for part in parts:
        for entry in part.changed():
            try:
                read_entry(Path(part.point.path, entry.path), entry.path)
            except OSError as error:
                if error.errno in (errno.EIO, errno.EUCLEAN):
                    return True
            except InvalidRecordError:
                continue
    return False


def _seen(point: GraftPoint, path: str) -> Entry | None:
    try:
        return read_entry(Path(point.path, path), path)
    except (OSError, InvalidRecordError):
        return None
