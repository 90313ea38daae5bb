"""Who changed what: the page's audit log, and what the guard has done."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from repoint.fleet.page.audit import Entry
from repoint.fleet.page.vendor import Published
from repoint.model.halt import HaltedLetter
from repoint.model.version import label

GUARD = "guard"
"""What the guard is called in the place of a person."""


def with_guard(entries: Sequence[Entry], published: dict[str, Published]) -> list[Entry]:
    """Return changes by people and by the guard, newest first.

    The guard writes no audit log: the signed halts are its record. They keep the last halt of each
    letter.

    Args:
        entries: The page's audit log.
        published: What is published, by product.
    """
    halts = [
        entry
        for product, each in published.items()
        for entry in _entries_of(product, [halt for halt in each.halts if halt.by == GUARD])
    ]
    return sorted([*entries, *halts], key=lambda entry: -entry.when)


def _entries_of(product: str, halts: Sequence[HaltedLetter]) -> list[Entry]:
    """Return an entry for each halt; several builds that were halted at once share one."""

    def key(halt: HaltedLetter) -> tuple[int, str, str, str]:
        name = halt.baseline
        return halt.since, label(name.version, halt.letter), name.platform, halt.reason

    return [
        Entry("", since, GUARD, GUARD, "halt", product, name, platform, reason, "done")
        for (since, name, platform, reason), _ in itertools.groupby(sorted(halts, key=key), key)
    ]
