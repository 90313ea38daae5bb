"""The store: sealed trees, and for each product what is active and what is staged.

::

    trees/<seal>/                     sealed trees, shared by all products
    verified/<seal>                   how each tree looked when it was verified
    lock                              held by the command that is changing the store
    launches/                         which processes were launched with which trees
    policy.json                       the last policy whose files were all well-formed
    products/<product>/
        enrolment.json                what is pinned; its appearance enrols the product
        leaving                       the product is unenrolled, and its folder is being removed
        unfinished                    a copy, while its consequences are still to be carried out
        grafts.json                   where the links are, in case the enrolment is damaged
        root.json                     the pinned trusted root
        metadata/                     what the TUF client has verified
        catalog.json, checked.json    the last verified catalog, and the time of the last check
        offers/<generation>.json      the verified records of offered improvements
        settings.json, history.jsonl
        marks/<generation>.json       letters that failed here, or that were removed
        generations/<generation>/     a link to each component's tree, and the signed record
        active -> generations/…       what runs; graft points lead here
        staged -> generations/…       what waits for a restart
        previous -> generations/…     what to roll back to if the active letter fails
        trial.json                    what the active letter still has to prove
        services.json                 the services that last ran from each component
        extensions/, images/          what strategy ``sysext`` lays out for each generation
        programs/<component>.log      the output of programs that a restart has started
        downloads/                    unverified downloads

State is what is on disk. A product is in the generation that ``active`` leads to; nothing else
says so.
"""

from __future__ import annotations

import os
from pathlib import Path

from repoint.device.errors import NotEnrolledError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Actor


class Store:
    """The store of a device.

    Args:
        path: Its folder.
        actor: Who causes the changes that the history records; unknown by default.
    """

    def __init__(self, path: Path, actor: Actor | None = None) -> None:
        self.path = Path(os.path.abspath(path))
        self.actor = actor or Actor()

    @property
    def trees(self) -> Path:
        """The folder of the sealed trees."""
        return self.path / "trees"

    def tree(self, seal: str) -> Path:
        """Return the path of the tree with that seal, whether it exists or not."""
        return self.trees / seal

    def product(self, name: str) -> ProductState:
        """Return the state of a product, enrolled or not."""
        return ProductState(self, name)

    def enrolled(self) -> list[ProductState]:
        """Return the state of every enrolled product."""
        states = (self.product(folder.name) for folder in sorted(self.path.glob("products/*")))
        return [state for state in states if state.is_enrolled()]

    def one(self, name: str | None) -> ProductState:
        """Return the state of the named product, or of the only one if no name is given.

        Raises:
            NotEnrolledError: The product is not enrolled, or several are and none is named.
        """
        enrolled = {state.name: state for state in self.enrolled()}
        if name is None and len(enrolled) == 1:
            return next(iter(enrolled.values()))
        if name in enrolled:
            return enrolled[name]
        if not enrolled:
            raise NotEnrolledError(
                f"No product is enrolled in {self.path}",
                hint="Enrol one with `repoint enroll`, or name another store with --store",
            )
        problem = f"{name} is not enrolled" if name else "Several products are enrolled"
        raise NotEnrolledError(
            f"{problem} in {self.path}",
            hint=f"Name one of these with --product: {', '.join(sorted(enrolled))}",
        )
