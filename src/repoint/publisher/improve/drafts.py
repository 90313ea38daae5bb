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
        """Return the patch file of a component."""
        return self.folder / f"{component}.patch"


def draft_folder(repository: Repository, product: str, baseline: BaselineName, letter: str) -> Path:
    """Return the folder of an improvement's draft."""
    return (
        repository.path / "drafts" / product
        / baseline.platform / baseline.version / baseline.build / letter
    )  # fmt: skip


def read_drafts(repository: Repository, product: str) -> list[Draft]:
    """Return all drafts of a product, ordered by baseline and letter."""
    root = repository.path / "drafts" / product
    drafts = []
    for file in root.glob("*/*/*/[a-z]*/improvement.json"):
        # Another command may publish it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            data = file.read_bytes()
            drafts.append(Draft(decode_record(data, Improvement, str(file)), file.parent))
    return sorted(drafts, key=_order)


def remove_draft(folder: Path) -> None:
    """Remove a published draft. If that fails, a later publication removes it."""
    with contextlib.suppress(OSError):
        remove_tree(folder)


def clear_drafts(repository: Repository, product: str) -> None:
    """Remove the remains of drafts whose removal was interrupted."""
    for folder in (repository.path / "drafts" / product).glob("*/*/*/[a-z]*"):
        if not (folder / "improvement.json").exists():
            remove_draft(folder)


def next_letter(
    catalog: Catalog, drafts: list[Draft], baseline: BaselineName, wanted: str | None
) -> str:
    """Return the letter of the next improvement of a baseline.

    Letters only go forward. A letter is never used twice, even if its improvement was withdrawn,
    so a label always means the same improvement.

    Args:
        catalog: The published catalog.
        drafts: The drafts.
        baseline: The baseline to improve.
        wanted: A later letter to use instead, to keep several platforms in step.

    Raises:
        LetterTakenError: The wanted letter is not after the last one used.
    """
    used = [Letter(offer.letter) for offer in catalog.offers_for(baseline)]
    used += [Letter(d.improvement.letter) for d in drafts if d.improvement.baseline == baseline]
    free = max(used).next() if used else Letter("a")
    if wanted is None:
        return free.text
    if Letter(wanted) < free:
        raise LetterTakenError(
            f"{label(baseline.version, wanted)} is already used for {baseline}",
            hint=f"The next free letter is ({free})",
        )
    return wanted


def _order(draft: Draft) -> tuple[str, object, Letter]:
    name = draft.improvement.baseline
    return name.platform, name.order, Letter(draft.improvement.letter)
