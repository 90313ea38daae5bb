"""How a finished draft takes its place, and how one is taken away.

Rules:

1. A draft is in its place whole, or not at all: each change is one rename.
2. A published letter never changes, so nobody publishes while a draft is replaced or taken away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from repoint.fs.durable import rename_durably, sync_folder
from repoint.fs.exchange import exchange
from repoint.fs.scratch import scratch_folder
from repoint.model.baseline import BaselineName
from repoint.publisher.baselines import baseline_folder
from repoint.publisher.catalog.catalogs import read_catalog
from repoint.publisher.errors import LetterTakenError, UnknownImprovementError
from repoint.publisher.improve.drafts import Draft
from repoint.repository.files import exclusive_work, publication_lock
from repoint.repository.repository import Repository


@contextlib.contextmanager
def drafting(repository: Repository, product: str, name: BaselineName) -> Iterator[None]:
    """Hold the lock of a baseline's drafts while the block runs.

    Raises:
        RepositoryBusyError: Another process holds it.
    """
    trees = baseline_folder(repository, product, name)
    lock = trees.with_name(f".{trees.name}.lock")
    with exclusive_work(lock, f"building an improvement of {product} {name}"):
        yield


def put_draft(repository: Repository, finished: Path, target: Path, replaced: Draft | None) -> None:
    """Put a finished draft in its place, while the lock of its baseline is held.

    Args:
        repository: The vendor's repository.
        finished: The folder of the draft, on the same file system; afterwards it holds what was
            replaced.
        target: Its place.
        replaced: The draft that is there and that it replaces; None if the place is free.

    Raises:
        LetterTakenError: The draft to replace was published meanwhile.
        UnknownImprovementError: It was removed meanwhile.
    """
    if replaced is None:
        rename_durably(finished, target)
        return
    with publication_lock(repository.path / "lock"):
        _require_unpublished(repository, replaced)
        sync_folder(finished)
        exchange(finished, target)
        sync_folder(target.parent)


def discard_draft(repository: Repository, draft: Draft) -> None:
    """Remove a draft that is not published. Its letter is free again.

    Raises:
        LetterTakenError: It was published meanwhile.
        UnknownImprovementError: It was removed meanwhile.
        RepositoryBusyError: Another process is publishing, or builds for the baseline.
    """
    improvement = draft.improvement
    with (
        drafting(repository, improvement.product, improvement.baseline),
        publication_lock(repository.path / "lock"),
        scratch_folder(draft.folder, mode=0o700) as scratch,
    ):
        _require_unpublished(repository, draft)
        rename_durably(draft.folder, scratch / "discarded")
        sync_folder(draft.folder.parent)


def _require_unpublished(repository: Repository, draft: Draft) -> None:
    improvement = draft.improvement
    offers = read_catalog(repository, improvement.product).offers_for(improvement.baseline)
    if any(offer.letter == improvement.letter for offer in offers):
        raise LetterTakenError(
            f"{improvement.label} is published for {improvement.baseline}",
            hint="Withdraw it with `repoint withdraw`, and build the next letter",
        )
    if not (draft.folder / "improvement.json").exists():
        raise UnknownImprovementError(
            f"The draft {improvement.label} for {improvement.baseline} is gone",
            hint="Run the command again",
        )
