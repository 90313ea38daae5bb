"""The report: what a device tells its fleet if its owner consents.

A report names no person, file or host. It is a count or an event. The *count* says once a week what
a device runs; nothing in it links one week to the next. An *event* says what became of one letter.
The events of one letter on one device carry the same id, which links them and nothing else.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from repoint.model.baseline import BaselineName
from repoint.model.errors import InvalidRecordError
from repoint.model.names import check_product, check_ring
from repoint.model.version import Letter

Kind = Literal["count", "staged", "confirmed", "failed"]
"""What a report says: the weekly count, or what became of a letter."""

Failure = Literal[
    "network",
    "space",
    "busy",
    "untrusted",
    "unfit",
    "decode",
    "write",
    "changed",
    "health",
    "start",
    "other",
]
"""Why a letter failed on a device.

``network``, ``space`` and ``busy`` pass without a change to the letter. ``untrusted`` is a
signature or a hash that does not hold, ``unfit`` a letter that does not fit the baseline of the
device, ``decode`` a patch that could not be decoded, ``write`` an error of the disk, ``changed`` a
tree that others changed, ``health`` a failed health check, ``start`` a start of the machine that
was cut off during the trial.
"""

TRANSIENT: frozenset[Failure] = frozenset({"network", "space", "busy"})
"""Failures that say nothing about the letter."""

MAX_REPORT = 4096
"""Bytes of the JSON form of one report."""

MAX_BATCH = 256
"""Reports in one request; the body is a JSON array."""

MAX_AGE = 90 * 86_400
"""Seconds after which an event is dropped, by the device and by the collector."""

_ID = re.compile(r"[0-9a-f]{32}")
_AGENT = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,39}")


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One report.

    Attributes:
        kind: The kind of report.
        nonce: 32 random hexadecimal digits, new for each report, so that a report that is sent
            twice counts once.
        baseline: The baseline of the device; its platform is in it.
        letter: A count: the letter in force. An event: the letter that it is about. Empty for the
            baseline itself, in a count only.
        staged: A count: the letter that waits for a restart; empty for none.
        exposed: A count: the number of processes that still run replaced code.
        ring: The device's ring; empty for none.
        agent: The version of Repoint.
        age: Seconds between the event and the request, so that no clock need be right.
        failure: Why the letter failed; in a failed event only.
        id: 32 hexadecimal digits. An event: the id of this letter on this device. A count: empty.
        device: 32 hexadecimal digits that identify the device in a managed fleet, if it was
            enrolled with a token of that fleet; else empty.
    """

    format: Literal["1.0"]
    kind: Kind
    nonce: str
    product: str
    baseline: BaselineName
    agent: str
    letter: str = ""
    staged: str = ""
    exposed: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    ring: str = ""
    age: Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE)] = 0
    failure: Failure | None = None
    id: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        check_product(self.product)
        if self.ring:
            check_ring(self.ring)
        for letter in (self.letter, self.staged):
            if letter:
                Letter(letter)
        if not _AGENT.fullmatch(self.agent):
            raise InvalidRecordError("The version of the agent is no version")
        if not _ID.fullmatch(self.nonce):
            raise InvalidRecordError("A nonce is 32 hexadecimal digits")
        if self.device and not _ID.fullmatch(self.device):
            raise InvalidRecordError("The id of a device is 32 hexadecimal digits")
        if self.kind == "count":
            self._check_count()
        else:
            self._check_event()

    def _check_count(self) -> None:
        if self.id or self.failure is not None or self.age:
            raise InvalidRecordError("A count has no id, no failure and no age")

    def _check_event(self) -> None:
        if not self.letter:
            raise InvalidRecordError("An event names a letter")
        if self.staged or self.exposed:
            raise InvalidRecordError("An event has no staged letter and no exposed processes")
        if not _ID.fullmatch(self.id):
            raise InvalidRecordError("The id of an event is 32 hexadecimal digits")
        if (self.failure is not None) != (self.kind == "failed"):
            raise InvalidRecordError("A failed event, and no other report, has a failure")
