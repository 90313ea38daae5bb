"""The history as it follows from what is on disk.

A command first changes the state, by one rename, and then writes down that it did. If it is cut off
between the two, or the line cannot be written, the next start completes the history from the
state, which is the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from repoint.device.store.records import Generation, HistoryEntry, Mark
from repoint.device.store.store import ProductState
from repoint.device.update.candidate import why_no_longer_offered
from repoint.model.version import has_letter

_ENDS_WAITING = ("activated", "unstaged", "removed", "failed")


@dataclass(frozen=True)
class Facts:
    """What is on disk, as far as the history must say it.

    Attributes:
        baseline: The enrolled baseline in full.
        taken: What is said of its enrolment.
        enrolled: When it was enrolled, in seconds since 1970.
        base: Its label.
        active: Label of what is active.
        confirmed: Whether that is a letter which passed its health check.
        staged: Label of the letter that waits; empty for none.
        title: Title of that letter's advisory.
        marks: The marks that are set, by label.
        no_longer_offered: Why a letter that waited does not any more.
    """

    baseline: str
    taken: str
    enrolled: int
    base: str
    active: str
    confirmed: bool = False
    staged: str = ""
    title: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)
    no_longer_offered: str = ""


def complete_history(state: ProductState, *, now: int, kept: Sequence[Path | None] = ()) -> None:
    """Write down what happened and was not written down. The store must be locked.

    Args:
        state: The product.
        now: Seconds since 1970.
        kept: Where enrolment has kept what was not the vendor's.
    """
    history = state.history()
    facts = _facts(state, _Told(history).waiting)
    places = ", ".join(str(place) for place in kept if place is not None)
    if places:
        said = f"{facts.baseline}; what programs wrote is kept at {places}"
        facts = replace(facts, taken=said)
    for entry in missing_entries(history, facts, now=now):
        state.record(entry)


def missing_entries(
    history: Sequence[HistoryEntry], facts: Facts, *, now: int
) -> list[HistoryEntry]:
    """What the history must say beside what it says.

    Args:
        history: What it says, oldest first.
        facts: What is on disk.
        now: When that is seen, in seconds since 1970.
    """
    told = _Told(history)
    if ("enrolled", facts.enrolled, facts.base) not in told.said:
        told.add(HistoryEntry(facts.enrolled, "enrolled", facts.base, facts.taken))
    if told.replaced:
        told.add(HistoryEntry(now, "superseded", told.replaced, f"by {facts.baseline}"))
    if facts.staged and told.waiting != facts.staged:
        told.add(HistoryEntry(now, "staged", facts.staged, facts.title))
    for label, mark in facts.marks.items():
        if (mark.kind, mark.when, label) not in told.said:
            told.add(HistoryEntry(mark.when, mark.kind, label, mark.why))
    if told.running != facts.active:
        why = f"instead of {told.running}" if facts.active == facts.base else ""
        told.add(HistoryEntry(now, "activated", facts.active, why))
    if facts.confirmed and facts.active not in told.confirmed:
        told.add(HistoryEntry(now, "confirmed", facts.active))
    if told.waiting and not facts.staged:
        told.add(HistoryEntry(now, "unstaged", told.waiting, facts.no_longer_offered))
    return told.more


class _Told:
    """What somebody knows who has read the history, line by line."""

    def __init__(self, history: Sequence[HistoryEntry]) -> None:
        self.said: set[tuple[str, int, str]] = set()
        self.base = self.running = self.before = self.replaced = self.waiting = ""
        self.confirmed: set[str] = set()
        self.more: list[HistoryEntry] = []
        for entry in history:
            self._read(entry)

    def add(self, entry: HistoryEntry) -> None:
        self.more.append(entry)
        self._read(entry)

    def _read(self, entry: HistoryEntry) -> None:
        self.said.add((entry.event, entry.when, entry.label))
        if entry.event == "enrolled":
            self.replaced = self.running if has_letter(self.running) else ""
            self.running = self.base = entry.label
            self.before = self.waiting = ""
        elif entry.event == "superseded":
            self.replaced = ""
            if entry.label == self.running:  # the system below it has moved on
                self.running, self.before, self.waiting = self.base, "", ""
        elif entry.event == "staged":
            self.waiting = entry.label
            self.confirmed.discard(entry.label)
        elif entry.event == "activated":
            self.before, self.running = self.running, entry.label
        elif entry.event == "confirmed":
            self.confirmed.add(entry.label)
        elif entry.event == "failed" and entry.label == self.running:
            self.running, self.before = self.before, ""
        if entry.event in _ENDS_WAITING and entry.label == self.waiting:
            self.waiting = ""


def _facts(state: ProductState, waiting: str) -> Facts:
    """The facts, for a history that ends with the letter of that label waiting."""
    enrolment = state.enrolment()
    name = enrolment.baseline
    base = Generation.of(name)
    active, staged = state.active() or base, state.staged()
    improvement = state.improvement(staged) if staged is not None else None
    gone, catalog = "", state.catalog()
    if waiting and catalog is not None:
        letters = [o.letter for o in catalog.offers_for(name) if o.label == waiting]
        gone = why_no_longer_offered(catalog, name, letters[0] if letters else "")
    return Facts(
        baseline=str(name),
        taken=str(name),
        enrolled=enrolment.enrolled,
        base=base.label,
        active=active.label,
        confirmed=bool(active.letter) and state.is_confirmed(active),
        staged=staged.label if staged is not None and staged.letter else "",
        title=improvement.title if improvement is not None else "",
        marks={generation.label: mark for generation, mark in state.marks()},
        no_longer_offered=gone,
    )
