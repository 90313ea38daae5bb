"""Generations: for each, a link to every component's tree, and its signed record."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from repoint.device.store.files import RecordFolder, damaged
from repoint.device.store.records import Generation
from repoint.fs.durable import create_file, make_folder, sync, write_durably
from repoint.fs.removal import remove_tree
from repoint.model.baseline import Baseline
from repoint.model.encoding import encode_record
from repoint.model.improvement import Improvement
from repoint.model.tree import Entry
from repoint.tree.compare import apply_layer


class Generations:
    """The generations of one product. A generation never changes once it is added.

    Args:
        trees: The folder of the store's sealed trees.
        folder: The folder of the generations.
    """

    def __init__(self, trees: Path, folder: Path) -> None:
        self._trees = trees
        self._folder = folder
        self._records = RecordFolder(folder)
        # What never changes is decoded once: a baseline may have 100,000 entries.
        self._baselines: dict[Generation, Baseline] = {}
        self._improvements: dict[Generation, Improvement] = {}

    def path(self, generation: Generation) -> Path:
        """Return the folder of a generation."""
        return self._folder / generation.folder

    def all(self) -> list[Generation]:
        """Return all generations on disk."""
        found = []
        for folder in sorted(self._folder.glob("[!.]*")):
            with contextlib.suppress(ValueError):  # it is not ours
                found.append(Generation.from_folder(folder.name))
        return found

    def readable_seals(self) -> set[str]:
        """Return the seals of all trees that any generation names, as far as they can be read."""
        links = (link for link in self._folder.glob("*/*") if link.is_symlink())
        return {link.readlink().name for link in links}

    def add(
        self,
        generation: Generation,
        seals: Mapping[str, str],
        records: Mapping[str, msgspec.Struct],
    ) -> None:
        """Write a generation's folder. A generation that exists already is kept.

        The commit point is the rename of the folder.

        Args:
            generation: The generation.
            seals: The seal of each component's tree.
            records: The signed records, by file name.
        """
        path = self.path(generation)
        if path.is_dir():
            return
        temporary = path.with_name(f".new-{generation.folder}")
        remove_tree(temporary)
        make_folder(temporary)
        for component, seal in seals.items():
            (temporary / component).symlink_to(os.path.relpath(self._trees / seal, path))
        for name, record in records.items():
            with create_file(temporary / name) as file:
                file.write(encode_record(record))
        sync(temporary)
        temporary.rename(path)
        sync(path.parent)

    def baseline(self, generation: Generation) -> Baseline:
        """Return the signed baseline that a generation belongs to."""
        own = generation.baseline
        if own not in self._baselines:
            path = f"{own.folder}/baseline.json"
            self._baselines[own] = self._records.read_required(path, Baseline)
        return self._baselines[own]

    def improvement(self, generation: Generation) -> Improvement | None:
        """Return the signed improvement of a generation, or None for a baseline."""
        if not generation.letter:
            return None
        if generation not in self._improvements:
            path = f"{generation.folder}/improvement.json"
            self._improvements[generation] = self._records.read_required(path, Improvement)
        return self._improvements[generation]

    def seals(self, generation: Generation) -> dict[str, str]:
        """Return the seal of each component's tree in a generation.

        Raises:
            StoreDamagedError: The generation's folder is missing.
        """
        folder = self.path(generation)
        try:
            return {p.name: p.readlink().name for p in folder.iterdir() if p.is_symlink()}
        except (FileNotFoundError, NotADirectoryError):
            raise damaged(folder, "it is missing") from None

    def entries(self, generation: Generation, component: str) -> tuple[Entry, ...]:
        """Return the entries of a component's tree in a generation; none if it has no such tree."""
        original = self.baseline(generation).component(component)
        entries = original.entries if original is not None else ()
        improvement = self.improvement(generation)
        improved = improvement.component(component) if improvement is not None else None
        return apply_layer(entries, improved.layer) if improved is not None else entries

    def changed_seals(self, before: Generation, after: Generation) -> dict[str, str]:
        """Return the components that differ between two generations, with their seals in `after`.

        Args:
            before: One generation.
            after: Another generation of the same baseline.
        """
        old = self.seals(before)
        return {name: seal for name, seal in self.seals(after).items() if old.get(name) != seal}

    def is_confirmed(self, generation: Generation) -> bool:
        """Return whether a generation is confirmed. A baseline always is."""
        return not generation.letter or (self.path(generation) / "confirmed").exists()

    def confirm(self, generation: Generation) -> None:
        """Record that a generation is confirmed."""
        write_durably(self.path(generation) / "confirmed", b"")
