"""The on-disk state of one product: its folder, and the parts that read and write it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from repoint.device.store.documents import Documents
from repoint.device.store.generations.generations import Generations
from repoint.device.store.generations.links import Links
from repoint.device.store.generations.marks import Marks
from repoint.device.store.generations.trials import Trials
from repoint.device.store.history.history import History
from repoint.fs.durable import sync
from repoint.fs.removal import remove_tree

if TYPE_CHECKING:
    from repoint.device.store.store import Store


LEAVING = "leaving"
"""The note in the folder of a product that is unenrolled, and whose folder is being removed."""


class ProductState:
    """The on-disk state of one product, enrolled or not. `store` describes the folder.

    Attributes:
        store: The store.
        name: The product's name.
        path: The product's folder.
        links: Which generation is active, staged, and previous.
        generations: The generations, with their signed records.
        documents: The enrolment, the verified catalog and improvements, and the settings.
        marks: Which generations failed here or were removed.
        trials: The trial of the active letter, and the services that take part in it.
        history: The history.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.path = store.path / "products" / name
        self.links = Links(self.path)
        self.generations = Generations(store.trees, self.path / "generations")
        self.documents = Documents(name, self.path)
        self.marks = Marks(self.path / "marks")
        self.trials = Trials(self.path)
        self.history = History(self.path / "history.jsonl", store.actor)

    def is_enrolled(self) -> bool:
        """Return whether the product is enrolled, even if its enrolment is lost or damaged.

        A product whose graft points may lead to its active link is never taken for a leftover.
        """
        if os.path.lexists(self.path / LEAVING):
            return False
        paths = (self.documents.enrolment_path, self.links.active_path)
        return any(os.path.lexists(path) for path in paths)

    @property
    def option(self) -> str:
        """What names the product on a command line: ``--product NAME`` if several are enrolled."""
        return f" --product {self.name}" if len(self.store.enrolled()) > 1 else ""

    def command(self, words: str) -> str:
        """Return the command that a hint names, complete for a store with several products."""
        return f"`repoint {words}{self.option}`"

    def remove(self) -> None:
        """Remove the folder of a product that is not enrolled.

        The note that it is leaving goes last, and only once all else is gone for good. Without the
        note, what a power cut leaves would look like a damaged product.
        """
        if os.path.lexists(self.path / LEAVING):
            for path in self.path.iterdir():
                if path.name != LEAVING:
                    remove_tree(path)
            sync(self.path)
        remove_tree(self.path)

    @property
    def metadata(self) -> Path:
        """The folder of the metadata that the TUF client has verified."""
        return self.path / "metadata"

    @property
    def downloads(self) -> Path:
        """The folder of downloaded bytes that are not verified yet."""
        return self.path / "downloads"
