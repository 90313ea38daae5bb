"""What a report changes: the row of its id, and the roll-ups. A state machine without I/O.

The rules:

- An event that happened before the one that is known changes nothing. At one moment, the staging
  comes before what follows it.
- A time that is yet to come is no time: the collector's clock was wrong.
- A device counts once for each letter: under what its last event says, and under ``EVER_STAGED``.
  It keeps that place when it goes on to another letter, unless it was still waiting.
- A count of a device with an id says what is in force there. A count without one stands for a week.
- A confirmation without the id of a device moves one device from an earlier letter until that
  device's next count, at an unknown moment of the coming week.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from repoint.fleet.stores.codes import (
    CONFIRMED,
    EVER_STAGED,
    LATE,
    MAX_EXPOSED,
    NOTHING,
    STAGED,
    is_after_staging,
    is_settled,
)

HOUR = 3600
WEEK = 7 * 24
"""Hours for which a count without an id stands."""

BUCKET = 300
"""Seconds: how exactly `since` of the roll-ups is kept."""

_SKEW = 300
"""Seconds by which the clocks of several collectors may differ."""

DEVICE = 1
"""The flag of a row whose id identifies a device."""
WAS_STAGED = 2
"""The flag of a row whose letter was staged at some time."""
WAS_LATE = 4
"""The flag of a row whose letter was confirmed or failed after a long silence."""

PATIENCE = 28 * HOUR
"""Seconds after which a device that has staged a letter, and reported nothing since, is silent.

Whatever happens once a day has happened by then, and was reported.
"""


@dataclass(slots=True, frozen=True)
class Row:
    """What is known of one id.

    Attributes:
        letter: The letter of the last event; 0 for none.
        event_time: When the last event happened.
        since: When the letter was staged; until then, when its first event happened.
        in_force: The letter in force on a device; 0 for unknown.
        reported: When the last report that counts came, or its event happened.
        staged: The letter that waits for a restart, as the last count said; 0 for none.
    """

    letter: int = 0
    event_time: int = 0
    since: int = 0
    in_force: int = 0
    reported: int = 0
    status: int = NOTHING
    flags: int = 0
    staged: int = 0
    exposed: int = 0
    ring: int = 0
    agent: int = 0


@dataclass(slots=True, frozen=True)
class Event:
    """An event, with numbers for names.

    Attributes:
        time: When it happened, in seconds since 1970.
        now: When its report came, in seconds since 1970.
    """

    letter: int
    status: int
    time: int
    ring: int
    agent: int
    now: int


@dataclass(slots=True, frozen=True)
class Count:
    """A count, with numbers for names; `time` is when it came, in seconds since 1970."""

    letter: int
    staged: int
    exposed: int
    time: int
    ring: int
    agent: int


@dataclass(slots=True, frozen=True)
class Move:
    """One device without an id went to a letter, from one that nobody knows.

    Attributes:
        until: The hour at whose start a count of the device has presumably come.
    """

    letter: int
    hour: int
    until: int


TallyKey = tuple[int, int, int, int]
"""A letter, a ring, a status and a bucket of time."""


@dataclass(slots=True)
class Changes:
    """The changes of the roll-ups by some reports.

    Attributes:
        tallies: The change of the devices, and the times of the first and last event.
        adoption: The change of the devices and of the exposed ones, by letter and hour.
    """

    tallies: dict[TallyKey, list[int]] = field(default_factory=dict)
    adoption: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)

    def tally(self, key: TallyKey, change: int, time: int) -> None:
        """Add devices to a tally, or take them from it."""
        entry = self.tallies.setdefault(key, [0, time, time])
        entry[0] += change
        if change > 0:
            entry[1], entry[2] = min(entry[1], time), max(entry[2], time)

    def adopt(self, letter: int, hour: int, devices: int, exposed: int) -> None:
        """Change the devices that have a letter in force from an hour on."""
        entry = self.adoption.setdefault((letter, hour), [0, 0])
        entry[0] += devices
        entry[1] += exposed


def after_event(
    row: Row | None, event: Event, *, device: bool, changes: Changes, patience: int = PATIENCE
) -> Row:
    """Return the row of an id after an event."""
    old = _believable(row or Row(flags=DEVICE if device else 0), event.now)
    order = (event.time, event.status != STAGED)
    if old.status and order < (old.event_time, old.status != STAGED):
        return row or old
    ever = is_after_staging(event.status)
    new_to_letter = old.letter != event.letter or old.status == NOTHING
    was_ever = bool(old.flags & WAS_STAGED) and not new_to_letter
    late = not new_to_letter and (
        bool(old.flags & WAS_LATE)
        or (was_ever and is_settled(event.status) and not is_settled(old.status)
            and event.time - old.since > patience)
    )  # fmt: skip
    since = event.time if new_to_letter or (ever and not was_ever) else old.since
    new = dataclasses.replace(
        old,
        letter=event.letter,
        status=event.status,
        event_time=event.time,
        since=since,
        flags=(old.flags & DEVICE)
        | (WAS_STAGED if ever or was_ever else 0)
        | (WAS_LATE if late else 0),
        reported=max(old.reported, event.time),
    )
    if event.time >= old.reported:
        new = dataclasses.replace(new, ring=event.ring, agent=event.agent)
        if event.status == CONFIRMED and device:
            new = dataclasses.replace(new, in_force=event.letter, exposed=0, staged=0)
    if new_to_letter:
        if old.status == STAGED:
            changes.tally(_key(old, STAGED), -1, old.event_time)
    else:
        _leave(old, changes)
    _enter(new, changes)
    _move_device(old, new, event.time, changes)
    return new


def after_count(row: Row | None, count: Count, changes: Changes) -> Row:
    """Return the row of a device after a count."""
    old = _believable(row or Row(flags=DEVICE), count.time)
    if count.time < old.reported:
        return row or old
    new = dataclasses.replace(
        old,
        in_force=count.letter,
        staged=count.staged,
        exposed=min(count.exposed, MAX_EXPOSED),
        reported=count.time,
        ring=count.ring,
        agent=count.agent,
    )
    if old.status and old.ring != new.ring:
        _leave(old, changes)
        _enter(new, changes)
    _move_device(old, new, count.time, changes)
    return new


def count_anonymous(count: Count, changes: Changes) -> None:
    """Count a device without an id for a week."""
    hour, exposed = count.time // HOUR, int(count.exposed > 0)
    changes.adopt(count.letter, hour, 1, exposed)
    changes.adopt(count.letter, hour + WEEK, -1, -exposed)


def move_anonymous(old: Row | None, new: Row, fraction: float, changes: Changes) -> None:
    """Note that a device without an id has a letter in force from now on.

    The fraction is a random number below 1: when in the coming week the device's count comes. Over
    many devices, the counts that have come and the moves that have ended add up.
    """
    if new.status == CONFIRMED and (old is None or old.status != CONFIRMED):
        hour = new.event_time // HOUR
        changes.moves.append(Move(new.letter, hour, hour + 1 + int(fraction * WEEK)))


def forget(row: Row, now: int, changes: Changes) -> None:
    """Take an id whose owner took back the consent out of the roll-ups."""
    _leave(row, changes)
    if row.in_force:
        changes.adopt(row.in_force, now // HOUR, -1, -int(row.exposed > 0))


def _believable(row: Row, now: int) -> Row:
    """Return a row without times that are yet to come: the collector's clock was wrong then.

    Otherwise nothing that comes would count until that time.
    """
    if max(row.event_time, row.reported) <= now + _SKEW:
        return row
    return dataclasses.replace(
        row, event_time=min(row.event_time, now), reported=min(row.reported, now)
    )


def _key(row: Row, status: int) -> TallyKey:
    return row.letter, row.ring, status, row.since // BUCKET


def _enter(row: Row, changes: Changes) -> None:
    changes.tally(_key(row, row.status), 1, row.event_time)
    if row.flags & WAS_STAGED:
        changes.tally(_key(row, EVER_STAGED), 1, row.since)
    if row.flags & WAS_LATE:
        changes.tally(_key(row, LATE), 1, row.since)


def _leave(row: Row, changes: Changes) -> None:
    if row.status:
        changes.tally(_key(row, row.status), -1, row.event_time)
        if row.flags & WAS_STAGED:
            changes.tally(_key(row, EVER_STAGED), -1, row.since)
        if row.flags & WAS_LATE:
            changes.tally(_key(row, LATE), -1, row.since)


def _move_device(old: Row, new: Row, time: int, changes: Changes) -> None:
    before, after = (old.in_force, old.exposed > 0), (new.in_force, new.exposed > 0)
    if before == after:
        return
    if old.in_force:
        changes.adopt(old.in_force, time // HOUR, -1, -int(before[1]))
    if new.in_force:
        changes.adopt(new.in_force, time // HOUR, 1, int(after[1]))
