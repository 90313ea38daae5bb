"""Completing the history from what is on disk.

A command first changes the state, by one rename, and then adds an entry to the history. If it is
interrupted between the two, or the entry cannot be written, the next command completes the history
from the state, which is authoritative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, Mark
from repoint.model.version import has_letter

_ENDS_STAGING = ("activated", "unstaged", "removed", "failed")


@dataclass(frozen=True)
class CurrentState:
    """What is on disk, as far as the history has to account for it.

    Attributes:
        baseline: The full name of the enrolled baseline.
        detail: The detail of the entry for its enrolment.
        enrolled: When it was enrolled, in seconds since 1970.
        base: The label of the baseline.
        active: The label of the active generation.
        confirmed: Whether the active generation is a confirmed letter.
        staged: The label of the staged letter, or "".
        title: The title of the staged letter's advisory.
        marks: The marks, by label.
        unavailable: Why a letter that was staged is no longer offered, or "".
    """

    baseline: str
    detail: str
    enrolled: int
    base: str
    active: str
    confirmed: bool = False
    staged: str = ""
    title: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)
    unavailable: str = ""


def complete_history(
    state: ProductState, *, now: int, kept: Sequence[Path | None] = (), own: bool = False
) -> None:
    """Add the entries that are missing. The store must be locked.

    Args:
        state: The product.
        now: Seconds since 1970.
        kept: Where enrolment has kept files that are not the vendor's.
        own: True if this command made the changes; else who made them is not known.
    """
    history = state.history.entries()
    current = _current_state(state, _Replay(history).staged)
    paths = ", ".join(str(path) for path in kept if path is not None)
    if paths:
        detail = f"{current.baseline}; what programs wrote is kept at {paths}"
        current = replace(current, detail=detail)
    for entry in missing_entries(history, current, now=now):
        if own:
            state.history.add(entry)
        else:
            state.history.add_found(entry)


def missing_entries(
    history: Sequence[HistoryEntry], current: CurrentState, *, now: int
) -> list[HistoryEntry]:
    """Return the entries that the history lacks.

    Args:
        history: The history, oldest first.
        current: What is on disk.
        now: The time of the new entries, in seconds since 1970.
    """
    replay = _Replay(history)
    if ("enrolled", current.enrolled, current.base) not in replay.events:
        replay.add(HistoryEntry(current.enrolled, "enrolled", current.base, current.detail))
    if replay.replaced:
        replay.add(HistoryEntry(now, "superseded", replay.replaced, f"by {current.baseline}"))
    if current.staged and replay.staged != current.staged:
        replay.add(HistoryEntry(now, "staged", current.staged, current.title))
    for label, mark in current.marks.items():
        if (mark.kind, mark.when, label) not in replay.events:
            replay.add(HistoryEntry(mark.when, mark.kind, label, mark.why))
    if replay.active != current.active:
        why = f"instead of {replay.active}" if current.active == current.base else ""
        replay.add(HistoryEntry(now, "activated", current.active, why))
    if current.confirmed and current.active not in replay.confirmed:
        replay.add(HistoryEntry(now, "confirmed", current.active))
    if replay.staged and not current.staged:
        replay.add(HistoryEntry(now, "unstaged", replay.staged, current.unavailable))
    return replay.added


class _Replay:
    """The state that follows from the history, replayed entry by entry."""

    def __init__(self, history: Sequence[HistoryEntry]) -> None:
        self.events: set[tuple[str, int, str]] = set()
        self.base = self.active = self.previous = self.replaced = self.staged = ""
        self.confirmed: set[str] = set()
        self.added: list[HistoryEntry] = []
        for entry in history:
            self._apply(entry)

    def add(self, entry: HistoryEntry) -> None:
        self.added.append(entry)
        self._apply(entry)

    def _apply(self, entry: HistoryEntry) -> None:
        self.events.add((entry.event, entry.when, entry.label))
        if entry.event == "enrolled":
            self.replaced = self.active if has_letter(self.active) else ""
            self.active = self.base = entry.label
            self.previous = self.staged = ""
        elif entry.event == "superseded":
            self.replaced = ""
            if entry.label == self.active:  # the system below the letter was updated
                self.active, self.previous, self.staged = self.base, "", ""
        elif entry.event == "staged":
            self.staged = entry.label
            self.confirmed.discard(entry.label)
        elif entry.event == "activated":
            self.previous, self.active = self.active, entry.label
        elif entry.event == "confirmed":
            self.confirmed.add(entry.label)
        elif entry.event == "failed" and entry.label == self.active:
            self.active, self.previous = self.previous, ""
        if entry.event in _ENDS_STAGING and entry.label == self.staged:
            self.staged = ""


def _current_state(state: ProductState, was_staged: str) -> CurrentState:
    """Read what is on disk. `was_staged` is the label that is staged by the history, or ""."""
    enrolment = state.documents.enrolment()
    name = enrolment.baseline
    base = Generation.of(name)
    active, staged = state.links.active() or base, state.links.staged()
    improvement = state.generations.improvement(staged) if staged is not None else None
    unavailable, catalog = "", state.documents.catalog()
    if was_staged and catalog is not None:
        letters = [o.letter for o in catalog.offers_for(name) if o.label == was_staged]
        unavailable = catalog.why_not_offered(name, letters[0] if letters else "")
    return CurrentState(
        baseline=str(name),
        detail=str(name),
        enrolled=enrolment.enrolled,
        base=base.label,
        active=active.label,
        confirmed=bool(active.letter) and state.generations.is_confirmed(active),
        staged=staged.label if staged is not None and staged.letter else "",
        title=improvement.title if improvement is not None else "",
        marks={generation.label: mark for generation, mark in state.marks.all()},
        unavailable=unavailable,
    )
