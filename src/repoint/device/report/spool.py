"""What a device keeps about its reports: the rules of the spool, without I/O.

Everything is one record, which is replaced as a whole. It exists only while the owner consents, and
after that until what was sent is deleted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from repoint.device.report.moment import Moment
from repoint.model.report import MAX_AGE, MAX_BATCH, Report

MAX_SPOOL = 64 << 10
"""The largest size of the record in bytes; the oldest reports are dropped first."""

WEEK = 7 * 86_400

FIRST_RETRY = 15 * 60
"""Mean delay in seconds before the first retry; it doubles with each further failure."""

LONGEST_RETRY = 24 * 3600
"""The longest delay before a retry, in seconds."""

MOST_DELETIONS = 10
"""How often a deletion is tried; with the delays in between, that takes about a week."""

_MOST_ADDRESSES = 4
_MOST_LETTERS = 64


class Waiting(msgspec.Struct, frozen=True):
    """A report that waits to be sent.

    Attributes:
        report: The report, without its age.
        noted: When it was noted.
        age: How old the event was then, in seconds.
    """

    report: Report
    noted: Moment
    age: int = 0

    def at(self, moment: Moment) -> Report | None:
        """Return the report as it is sent at a moment; None if it is too old by then."""
        age = self.age + moment.seconds_since(self.noted)
        if age > MAX_AGE:
            return None
        return msgspec.structs.replace(self.report, age=0 if self.report.kind == "count" else age)


class Delays(msgspec.Struct, frozen=True):
    """How often sending has failed in a row, and the earliest next attempt.

    Attributes:
        failures: The number of failures in a row.
        retry: The earliest next attempt, in seconds since 1970; 0 for at once.
    """

    failures: int = 0
    retry: int = 0

    def are_over(self, now: int) -> bool:
        """Return whether the next attempt may be made; after a clock was set back, at once."""
        return self.retry <= now or self.retry > now + LONGEST_RETRY

    def longer(self, now: int, rng: random.Random, after: int = 0) -> Delays:
        """Record a failure: the mean delay doubles, with a jitter of half of it either way.

        Args:
            now: Seconds since 1970.
            rng: The source of jitter, which spreads the return of a fleet after an outage.
            after: The shortest delay in seconds, which the server asks for.
        """
        jitter = rng.uniform(0.5, 1.5)
        delay = max(FIRST_RETRY * 2 ** min(self.failures, 16) * jitter, after * (0.5 + jitter))
        return Delays(self.failures + 1, now + int(min(delay, LONGEST_RETRY)))


class Deletion(msgspec.Struct, frozen=True):
    """A request to a fleet to delete what it has received from this device.

    Attributes:
        address: The address that the reports were sent to.
        ids: The ids that they carried.
        delays: The attempts so far.
    """

    address: str
    ids: tuple[str, ...]
    delays: Delays = Delays()


class Spool(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record.

    Attributes:
        address: Where the owner allows reports to be sent; "" if nowhere any more.
        history: How many entries of the history are noted.
        minute: The minute of the week of this device's count, by chance.
        counted: The number of the week that was counted last.
        nonce: The nonce of the next count, so that what would be sent can be shown exactly.
        last: What was noted last about each letter; the same is not noted twice in a row.
        ids: The ids that reports have carried, oldest first.
        waiting: The reports that wait to be sent, oldest first.
        most: How many of them go into one request.
        delays: The attempts so far.
        deletions: The fleets that are still to delete something.
        answer: How the last attempt ended, for people; "" if there was none.
        answered: When, in seconds since 1970.
    """

    address: str = ""
    history: int = 0
    minute: int = 0
    counted: int = 0
    nonce: str = ""
    last: dict[str, str] = {}
    ids: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    most: int = MAX_BATCH
    delays: Delays = Delays()
    deletions: tuple[Deletion, ...] = ()
    answer: str = ""
    answered: int = 0

    @property
    def is_needed(self) -> bool:
        """Whether there is anything left to do or to say."""
        return bool(self.address or self.deletions)

    def turned(self, address: str, *, history: int, device: str, draw: Draw) -> Spool:
        """Return the spool once the owner lets reports go elsewhere, or nowhere.

        What waits was for the former fleet, and is dropped; what that fleet got, it is to delete.

        Args:
            address: The new address; "" for none.
            history: The number of entries in the history: nobody consented to tell the past.
            device: The id of the device in a managed fleet; "" for none.
            draw: What is drawn by chance.
        """
        if address == self.address:
            return self
        deletions = self.deletions
        if self.address:
            ids = tuple(filter(None, dict.fromkeys((*self._ids_owed(), *self.ids, device))))
            deletions = tuple(each for each in deletions if each.address != self.address)
            if ids:
                deletion = Deletion(self.address, ids[-MAX_BATCH:])
                deletions = (*deletions, deletion)[-_MOST_ADDRESSES:]
        if not address:
            return Spool(deletions=deletions)
        # A managed device is known to its fleet: it shows itself at once. Else the time of the
        # first count would tell that of the consent.
        counted = draw.week if not device else draw.week - 1
        return Spool(
            address=address, history=history, minute=draw.minute, counted=counted,
            nonce=draw.nonce, deletions=deletions,
        )  # fmt: skip

    def _ids_owed(self) -> tuple[str, ...]:
        return tuple(i for each in self.deletions if each.address == self.address for i in each.ids)

    def is_count_due(self, now: int) -> bool:
        """Return whether the week of this device has begun anew since its last count."""
        if not self.address:
            return False
        week = week_of(now, self.minute)
        return week > self.counted or week < self.counted - 1  # the clock was set back

    def with_count(self, report: Report, moment: Moment, nonce: str) -> Spool:
        """Note the count of this week; ``nonce`` is that of the next one."""
        counted = msgspec.structs.replace(
            self, counted=week_of(moment.now, self.minute), nonce=nonce
        )
        # An older count that was never sent says nothing any more.
        kept = tuple(each for each in self.waiting if each.report.kind != "count")
        return counted._bounded((*kept, Waiting(report, moment)))

    def with_event(self, letter: str, report: Report, moment: Moment, age: int) -> Spool:
        """Note an event, unless it is what was noted last about its letter.

        Args:
            letter: The name of the letter's generation.
            report: The report, without its age.
            moment: The present moment.
            age: How old the event is, in seconds.
        """
        said = report.kind if report.failure is None else f"{report.kind} {report.failure}"
        if self.last.get(letter) == said:
            return self
        last = {**{k: v for k, v in self.last.items() if k != letter}, letter: said}
        noted = msgspec.structs.replace(
            self,
            last=dict(list(last.items())[-_MOST_LETTERS:]),
            ids=tuple(dict.fromkeys((*self.ids, report.id)))[-(MAX_BATCH - 1) :],
        )
        # Nobody needs to know the age to the second, if the clock may have been set meanwhile.
        age = age if 0 <= age <= MAX_AGE else 0
        return noted._bounded((*noted.waiting, Waiting(report, moment, age)))

    def batch(self, moment: Moment) -> tuple[Report, ...]:
        """Return the reports of the next request: see `in_requests`."""
        reports = [report for each in self.waiting if (report := each.at(moment)) is not None]
        return next(iter(in_requests(reports, self.most)), ())

    def with_delivered(self, reports: tuple[Report, ...], now: int) -> Spool:
        """Record that the fleet has stored the reports."""
        return msgspec.structs.replace(
            self._without({report.nonce for report in reports}),
            delays=Delays(), most=MAX_BATCH, answer="taken", answered=now,
        )  # fmt: skip

    def with_refused(self, reports: tuple[Report, ...], why: str, now: int) -> Spool:
        """Record that the fleet refuses the reports for ever: they are dropped."""
        return msgspec.structs.replace(
            self._without({report.nonce for report in reports}),
            delays=Delays(), answer=why, answered=now,
        )  # fmt: skip

    def with_smaller_batches(self, sent: int, now: int) -> Spool:
        """Record that the fleet refuses so many reports in one request."""
        return msgspec.structs.replace(
            self, most=max(1, sent // 2), delays=Delays(),
            answer="the server refuses the request as too large", answered=now,
        )  # fmt: skip

    def with_failure(self, delays: Delays, why: str, now: int) -> Spool:
        """Record that the fleet could not be reached, or did not take the reports now."""
        return msgspec.structs.replace(self, delays=delays, answer=why, answered=now)

    def with_deletion(self, tried: Deletion, delays: Delays | None) -> Spool:
        """Record an attempt at a deletion; ``delays`` is None if it is done."""
        kept = []
        for each in self.deletions:
            if each.address != tried.address:
                kept.append(each)
            elif delays is not None and delays.failures < MOST_DELETIONS:
                kept.append(msgspec.structs.replace(each, delays=delays))
        return msgspec.structs.replace(self, deletions=tuple(kept))

    def without_old(self, moment: Moment) -> Spool:
        """Drop what is too old to be sent."""
        kept = tuple(each for each in self.waiting if each.at(moment) is not None)
        return self if len(kept) == len(self.waiting) else _replaced(self, kept)

    def _without(self, nonces: set[str]) -> Spool:
        return _replaced(self, tuple(w for w in self.waiting if w.report.nonce not in nonces))

    def _bounded(self, waiting: tuple[Waiting, ...]) -> Spool:
        spool = _replaced(self, waiting)
        while waiting and len(msgspec.json.encode(spool)) > MAX_SPOOL:
            waiting = waiting[1:]
            spool = _replaced(self, waiting)
        return spool


class Draw(msgspec.Struct, frozen=True):
    """What is drawn by chance when reports begin.

    Attributes:
        minute: The minute of the week of the count.
        week: The number of the present week by that minute.
        nonce: The nonce of the first count.
    """

    minute: int
    week: int
    nonce: str


def is_linkable(report: Report) -> bool:
    """Return whether a report carries an id; only a count of an unmanaged device does not."""
    return report.kind != "count" or bool(report.device)


def in_requests(reports: Sequence[Report], most: int = MAX_BATCH) -> list[tuple[Report, ...]]:
    """Divide reports into requests.

    Events and a count that carries no id do not go together, so that they cannot be linked.

    Args:
        reports: The reports.
        most: How many of them go into one request.
    """
    parts = [r for r in reports if is_linkable(r)], [r for r in reports if not is_linkable(r)]
    return [tuple(part[n : n + most]) for part in parts for n in range(0, len(part), most)]


def week_of(now: int, minute: int) -> int:
    """Return the number of the week of a device, which begins at a minute of its own."""
    return (now - minute * 60) // WEEK


def draw(now: int, rng: random.Random) -> Draw:
    """Draw what a device has of its own."""
    minute = rng.randrange(WEEK // 60)
    return Draw(minute, week_of(now, minute), new_nonce(rng))


def new_nonce(rng: random.Random) -> str:
    """Return 32 random hexadecimal digits."""
    return f"{rng.getrandbits(128):032x}"


def _replaced(spool: Spool, waiting: tuple[Waiting, ...]) -> Spool:
    return msgspec.structs.replace(spool, waiting=waiting)
