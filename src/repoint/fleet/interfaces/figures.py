"""The figures of a fleet at one moment, for systems that record figures over time."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from repoint.fleet.advisories.exposure import Exposure
from repoint.fleet.intake.app import Counts
from repoint.fleet.interfaces.answers import Answers
from repoint.fleet.records import LetterName
from repoint.fleet.stores.errors import FleetStoreError
from repoint.fleet.stores.spool import Spool

_FRESH: Final = 10.0
"""Seconds for which figures from the database are used again."""


MOST: Final = 10_000
"""Values of one figure."""

_Value = tuple[tuple[str, ...], float]
"""The values of the labels, and the figure."""


@dataclass(frozen=True)
class Figure:
    """One figure, with a value for each set of labels.

    Attributes:
        kind: Whether it only grows while the collector runs, or goes up and down.
        labels: The names of the labels.
        values: What there is, for each set of labels.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...]
    values: tuple[_Value, ...]


class Reading(NamedTuple):
    """The figures at one moment.

    Attributes:
        trouble: Why those of the database are missing; empty if they are not.
    """

    figures: list[Figure]
    trouble: str = ""


@dataclass
class Figures:
    """The figures of a collector.

    Attributes:
        queued: Returns how many reports wait for a transaction.
        refuses: Returns whether the database does not take reports, though it may answer.
        most: The values of one figure. Reports name letters and rings, and anybody can send one.
    """

    answers: Answers
    counts: Counts
    queued: Callable[[], int]
    spool: Spool
    refuses: Callable[[], bool] = lambda: False
    most: int = MOST

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._from_database: tuple[Figure, ...] = ()

    def current(self) -> Reading:
        """Return all figures; without those of the database while it does not answer."""
        with self._lock:
            try:
                if time.monotonic() - self._read_at > _FRESH or not self._read_at:
                    self._from_database = tuple(self._read())
                    self._read_at = time.monotonic()
                else:
                    self.answers.products()  # what was read before says nothing about now
            except FleetStoreError as error:
                self._read_at = 0.0
                return Reading([*self._of_process(), _up(is_up=False)], str(error))
            up = _up(is_up=not self.refuses())  # a full disk can be read
            return Reading([*self._of_process(), up, *self._from_database])

    def _of_process(self) -> Iterator[Figure]:
        counts = self.counts
        yield Figure(
            "repoint_reports", "counter", "Reports that were taken and are on disk.", ("kind",),
            tuple(((kind,), float(value)) for kind, value in counts.reports.items()),
        )  # fmt: skip
        yield Figure(
            "repoint_answers", "counter", "Answers to devices.", ("status",),
            tuple(((str(status),), float(value)) for status, value in counts.answers.items()),
        )  # fmt: skip
        yield _plain("repoint_answer_seconds", "counter", "Time that the answers took.",
                     counts.seconds)  # fmt: skip
        yield _plain("repoint_forgotten_ids", "counter", "Ids whose deletion was asked for.",
                     counts.forgotten)  # fmt: skip
        yield _plain("repoint_queued_reports", "gauge", "Reports that wait for a transaction.",
                     self.queued())  # fmt: skip

    def _read(self) -> Iterator[Figure]:
        waiting = self.spool.waiting()
        yield _plain("repoint_spooled_reports", "gauge",
                     "Reports that wait for the store of events.", waiting.reports)  # fmt: skip
        if waiting.oldest is not None:
            yield _plain("repoint_spool_oldest_timestamp_seconds", "gauge",
                         "When the oldest report came that waits for the store of events.",
                         waiting.oldest * 3600)  # fmt: skip
        now = int(time.time())
        devices: list[_Value] = []
        exposed: list[_Value] = []
        letters: list[_Value] = []
        cves: list[_Value] = []
        for product in self.answers.products():
            for one in self.answers.adoption(product, now):
                devices.append((_labels(one.letter), float(one.devices)))
                exposed.append((_labels(one.letter), float(one.exposed)))
            for outcome in self.answers.outcomes(product):
                for state in ("staged", "confirmed", "failed", "transient", "silent"):
                    labels = (*_labels(outcome.letter), outcome.ring, state)
                    letters.append((labels, float(getattr(outcome, state))))
            last: dict[str, Exposure] = {
                one.cve: one for one in self.answers.exposure(product, now)
            }
            cves += [((product, cve), float(one.devices)) for cve, one in last.items()]
        lists = {
            "repoint_devices": devices,
            "repoint_devices_running_replaced_code": exposed,
            "repoint_letter_devices": letters,
            "repoint_cve_exposed_devices": cves,
        }
        for name, values in lists.items():
            text, labels = _LISTS[name]
            kept = heapq.nlargest(self.most, values, key=lambda value: value[1])
            yield Figure(name, "gauge", text, labels, tuple(kept))
        left_out = [((name,), float(max(0, len(each) - self.most))) for name, each in lists.items()]
        yield Figure("repoint_left_out_series", "gauge",
                     "The smallest values of a figure, for which an answer has no room.",
                     ("figure",), tuple(left_out))  # fmt: skip


_LETTER: Final = LetterName.__struct_fields__

_LISTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "repoint_devices": ("Devices with a letter in force.", _LETTER),
    "repoint_devices_running_replaced_code": (
        "Devices of these on which some process runs replaced code.", _LETTER
    ),
    "repoint_letter_devices": (
        "Devices by what became of a letter.", (*_LETTER, "ring", "state")
    ),
    "repoint_cve_exposed_devices": ("Devices that are exposed to a CVE.", ("product", "cve")),
}  # fmt: skip
"""The figures with many values: what each says, and its labels."""


def _labels(name: LetterName) -> tuple[str, ...]:
    return name.product, name.platform, name.version, name.build, name.letter


def _up(*, is_up: bool) -> Figure:
    return _plain(
        "repoint_database_up", "gauge", "Whether the database answers and takes reports.", is_up
    )


def _plain(name: str, kind: Literal["counter", "gauge"], text: str, value: float) -> Figure:
    return Figure(name, kind, text, (), (((), float(value)),))
