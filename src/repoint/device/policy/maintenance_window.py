"""Maintenance windows: when an administrator allows changes, in the device's time zone."""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from repoint.model.errors import RepointError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


_LOOSE = re.compile(r"(\D*)\b(\d{1,2}):(\d\d)\s*[-\u2013]\s*(\d{1,2}):(\d\d)\s*")
"""A span that a person means, but that is not written in the one form."""


class WindowError(RepointError):
    """A maintenance window is malformed."""


class Window(msgspec.Struct, frozen=True):
    """A span of time on some days of the week.

    Attributes:
        days: The weekdays on which it begins; 0 is Monday.
        begin: Minutes after midnight.
        end: Minutes after midnight; at or before ``begin`` if it ends on the next day.
    """

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Parse ``02:00-05:00`` or ``sat,sun 22:00-04:00``.

        Raises:
            WindowError: The text is malformed.
        """
        days, _, span = text.strip().rpartition(" ")
        times = _SPAN.fullmatch(span)
        loose = _LOOSE.fullmatch(text)
        named = [day.strip().lower() for day in days.split(",")] if days else list(DAYS)
        if loose is not None and times is None:
            meant = f"{int(loose[2]):02}:{loose[3]}-{int(loose[4]):02}:{loose[5]}"
            raise WindowError(
                f'{text!r} is not a maintenance window; write the times as "{meant}"',
                hint="Write hours with two digits, and no spaces around the hyphen",
            )
        if times is None or not set(named) <= set(DAYS):
            raise WindowError(
                f"{text!r} is not a maintenance window",
                hint='Write it as "02:00-05:00" or "sat,sun 22:00-04:00"',
            )
        hours = [int(number) for number in times.groups()]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if max(hours[1], hours[3]) > 59 or begin >= 1440 or end > 1440 or begin == end:
            raise WindowError(
                f"{text!r} is not a valid span of a day",
                hint="Write hours and minutes as 02:00-05:00",
            )
        return cls(frozenset(DAYS.index(day) for day in named), begin, end)

    def next_at(self, when: int, zone: dt.tzinfo | None = None) -> int:
        """Return the first time at or after ``when`` that lies in the window.

        Args:
            when: Seconds since 1970.
            zone: The time zone; the device's own by default.

        Returns:
            ``when`` if it lies in the window, else the next begin of the window, in seconds since
            1970.
        """
        today = dt.datetime.fromtimestamp(when, zone).date()
        for offset in range(-1, 9):
            day = today + dt.timedelta(days=offset)
            if day.weekday() not in self.days:
                continue
            begin = _moment(day, self.begin, zone)
            after = 0 if self.end > self.begin else 1
            end = _moment(day + dt.timedelta(days=after), self.end, zone)
            # The hour that is skipped in spring may be the whole window.
            if max(begin, when) < end:
                return max(begin, when)
        raise AssertionError("a window opens on at least one day of the week")


def next_opening(windows: tuple[Window, ...], when: int, zone: dt.tzinfo | None = None) -> int:
    """Return the first time at or after ``when`` at which one of the windows is open."""
    return min((window.next_at(when, zone) for window in windows), default=when)


def _moment(day: dt.date, minutes: int, zone: dt.tzinfo | None) -> int:
    if minutes == 1440:
        day, minutes = day + dt.timedelta(days=1), 0
    clock = dt.time(minutes // 60, minutes % 60)
    return int(dt.datetime.combine(day, clock, zone).timestamp())
