"""The names of the files of events, which say what is in them.

``2026-11-30/06-000000000017-000000000042.parquet`` has the reports that came in the hour from 06:00
UTC, with the numbers 17 to 42 of the spool. ``2026-11-30/day-….parquet`` has those of a whole day.
A file is covered by one of the day whose numbers include its own: it was merged, and its deletion
was interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

DAY: Final = "day"

_FORM: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})/(?P<part>\d{2}|day)-(?P<first>\d{12,})-(?P<last>\d{12,})\.parquet"
)


class EventFile(NamedTuple):
    """What the name of a file says.

    Attributes:
        part: The hour, in two digits, or `DAY`.
        first: The number of the first transaction in it.
        last: The number of the last transaction in it.
    """

    date: date
    part: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """The name."""
        return f"{self.date}/{self.part}-{self.first:012}-{self.last:012}.parquet"


def hour_file(hour: int, first: int, last: int) -> EventFile:
    """Return the file of the reports of an hour, in hours since 1970."""
    start = datetime.fromtimestamp(hour * 3600, UTC)
    return EventFile(start.date(), f"{start.hour:02}", first, last)


def readable_files(names: Iterable[str]) -> tuple[list[EventFile], list[EventFile]]:
    """Return the files that hold all events, each once, and those that others cover.

    Files with other names are not of the collector, and are left out.
    """
    files = sorted(file for name in names if (file := _parsed(name)) is not None)
    days = [file for file in files if file.part == DAY]
    kept: list[EventFile] = []
    covered: list[EventFile] = []
    for file in files:
        inside = any(
            day != file and day.date == file.date
            and day.first <= file.first and file.last <= day.last
            for day in days
        )  # fmt: skip
        (covered if inside else kept).append(file)
    return kept, covered


def _parsed(name: str) -> EventFile | None:
    match = _FORM.fullmatch(name)
    if match is None:
        return None
    try:
        day = date.fromisoformat(match["date"])
    except ValueError:
        return None
    return EventFile(day, match["part"], int(match["first"]), int(match["last"]))
