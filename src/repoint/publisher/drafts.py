"""Drafts: improvements that are built but not published. They are private to the vendor."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from repoint.fs.removal import remove_tree
from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog
from repoint.model.encoding import decode_record
from repoint.model.improvement import Improvement
from repoint.model.version import Letter, label
from repoint.publisher.errors import LetterTakenError
from repoint.repository.repository import Repository


@dataclass(frozen=True)
class Draft:
    """An improvement and the folder that holds its record and its patches."""

    improvement: Improvement
    folder: Path

    def patch(self, component: str) -> Path:
        """The patch file of a component."""
        return self.folder / f"{component}.patch"


def draft_folder(repository: Repository, product: str, baseline: BaselineName, letter: str) -> Path:
    """Where the draft of an improvement stands."""
    return (
        repository.path / "drafts" / product
        / baseline.platform / baseline.version / baseline.build / letter
    )  # fmt: skip


def read_drafts(repository: Repository, product: str) -> list[Draft]:
    """All drafts of a product, in the order of their baselines and letters."""
    root = repository.path / "drafts" / product
    drafts = [
        Draft(decode_record(file.read_bytes(), Improvement, str(file)), file.parent)
        for file in root.glob("*/*/*/[a-z]*/improvement.json")
    ]
    return sorted(drafts, key=_order)


def remove_draft(folder: Path) -> None:
    """Remove a draft that is published; what cannot be removed now is removed another time."""
    with contextlib.suppress(OSError):
        remove_tree(folder)


def clear_drafts(repository: Repository, product: str) -> None:
    """Remove what is left of drafts whose removal was cut off."""
    for folder in (repository.path / "drafts" / product).glob("*/*/*/[a-z]*"):
        if not (folder / "improvement.json").exists():
            remove_draft(folder)


def next_letter(
    catalog: Catalog, drafts: list[Draft], baseline: BaselineName, wanted: str | None
) -> str:
    """The letter of the next improvement of a baseline.

    Letters only go forward: one that was given is not given again, withdrawn or not, so that a
    label means one thing for ever.

    Args:
        catalog: What is published.
        drafts: What is built.
        baseline: For which baseline.
        wanted: A letter that the vendor asks for, to keep several platforms in step.

    Raises:
        LetterTakenError: The wanted letter was given, or lies before one that was.
    """
    given = [Letter(offer.letter) for offer in catalog.offers_for(baseline)]
    given += [Letter(d.improvement.letter) for d in drafts if d.improvement.baseline == baseline]
    free = max(given).next() if given else Letter("a")
    if wanted is None:
        return free.text
    if Letter(wanted) < free:
        raise LetterTakenError(
            f"{label(baseline.version, wanted)} was given already for {baseline}",
            hint=f"The next free letter is ({free})",
        )
    return wanted


def _order(draft: Draft) -> tuple[str, object, Letter]:
    name = draft.improvement.baseline
    return name.platform, name.order, Letter(draft.improvement.letter)
