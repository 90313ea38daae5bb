"""What programs see of a layer on the system, however it is merged."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from repoint.device.store.records import GraftPoint
from repoint.device.strategy.extension import ComponentLayer
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.tree.compare import Difference, compare_trees
from repoint.tree.scan import read_entry


def missing_from_view(layers: Iterable[ComponentLayer]) -> list[Difference]:
    """Return how the system differs from what layers should show."""
    differences: list[Difference] = []
    for layer in layers:
        for entry in layer.changed():
            visible = _visible(layer.point, entry.path)
            differences += compare_trees([entry], [] if visible is None else [visible])
        differences += [
            Difference(entry.path, "added")
            for entry in layer.removed()
            if _visible(layer.point, entry.path) is not None
        ]
    return differences


def is_unreadable(layers: Iterable[ComponentLayer]) -> bool:
    """Return whether the kernel refuses to show what layers change: it is not what was signed."""
    for layer in layers:
        for entry in layer.changed():
            try:
                read_entry(Path(layer.point.path, entry.path), entry.path)
            except OSError as error:
                if error.errno in (errno.EIO, errno.EUCLEAN):
                    return True
            except InvalidRecordError:
                continue
    return False


def _visible(point: GraftPoint, path: str) -> Entry | None:
    try:
        return read_entry(Path(point.path, path), path)
    except (OSError, InvalidRecordError):
        return None
