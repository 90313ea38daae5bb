"""Marks: which generations failed on this device, and which were removed by a person."""

from __future__ import annotations

import contextlib
from pathlib import Path

from repoint.device.store.files import RecordFolder
from repoint.device.store.records import Generation, Mark


class Marks:
    """The marks of one product's generations."""

    def __init__(self, folder: Path) -> None:
        self._records = RecordFolder(folder)

    def get(self, generation: Generation) -> Mark | None:
        """Return the mark of a generation, or None."""
        return self._records.read(f"{generation.folder}.json", Mark)

    def all(self) -> list[tuple[Generation, Mark]]:
        """Return all generations that have a mark."""
        found = []
        for path in sorted(self._records.path.glob("[!.]*.json")):
            with contextlib.suppress(ValueError):  # it is not ours
                generation = Generation.from_folder(path.stem)
                mark = self.get(generation)
                if mark is not None:
                    found.append((generation, mark))
        return found

    def set(self, generation: Generation, mark: Mark) -> None:
        """Mark a generation."""
        self._records.write(f"{generation.folder}.json", mark)

    def clear(self, generation: Generation) -> None:
        """Remove the mark of a generation."""
        self._records.remove(f"{generation.folder}.json")
