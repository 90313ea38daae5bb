"""The reports themselves: what the history and the status of a product say of it."""

from __future__ import annotations

import msgspec

from repoint import __version__
from repoint.device.report.moment import Moment
from repoint.device.report.spool import Spool, new_nonce
from repoint.device.status.status import Status
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.model.report import Failure, Kind, Report
from repoint.model.report_ids import event_nonce, letter_id
from repoint.model.version import has_letter, parse_label

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random

_KINDS: dict[str, Kind] = {"staged": "staged", "confirmed": "confirmed", "failed": "failed"}
_MOST_EXPOSED = 1_000_000


class Writer(msgspec.Struct, frozen=True):
    """Makes the reports of one product.

    Attributes:
        state: The product.
        ring: The ring of the device; "" for none.
        device: The id of the device in a managed fleet; "" for none.
        secret: The secret of the device.
        moment: The present moment.
        rng: The source of nonces.
    """

    state: ProductState
    ring: str
    device: str
    secret: bytes
    moment: Moment
    rng: random.Random

    def with_history(self, spool: Spool) -> Spool:
        """Note what has happened since the history was read last."""
        entries = self.state.history.entries()
        # A history that is shorter than it was is another one.
        first = spool.history if spool.history <= len(entries) else 0
        for number, entry in enumerate(entries[first:], first):
            spool = self._with_entry(spool, number, entry)
        return msgspec.structs.replace(spool, history=len(entries))

    def with_failure(self, spool: Spool, letter: str, failure: Failure) -> Spool:
        """Note that a letter could not be installed."""
        event = self._event("failed", letter, failure, new_nonce(self.rng))
        return spool.with_event(self._name(letter), event, self.moment, 0)

    def with_count(self, spool: Spool, status: Status) -> Spool:
        """Note the count of this week, if it is due."""
        if not spool.is_count_due(self.moment.now):
            return spool
        return spool.with_count(self.count(status, spool.nonce), self.moment, new_nonce(self.rng))

    def count(self, status: Status, nonce: str) -> Report:
        """Return the count of a device with that status."""
        exposed = len({process.pid for process in status.exposed})
        return Report(
            "1.0", "count", nonce, self.state.name,
            self.state.documents.enrolment().baseline, __version__,
            letter=_letter(status.in_force), staged=_letter(status.staged),
            exposed=min(exposed, _MOST_EXPOSED), ring=self.ring, device=self.device,
        )  # fmt: skip

    def _with_entry(self, spool: Spool, number: int, entry: HistoryEntry) -> Spool:
        kind = _KINDS.get(entry.event)
        if kind is None or not has_letter(entry.label):
            return spool
        version, letter = parse_label(entry.label)
        baseline = self.state.documents.enrolment().baseline
        if version != baseline.version:
            return spool  # of a release that was replaced meanwhile
        failure: Failure | None = None
        if kind == "failed":
            mark = self.state.marks.get(Generation.of(baseline, letter))
            failure = (mark.cause or "other") if mark is not None else "other"
        nonce = event_nonce(self.secret, self.state.name, number, entry.when)
        event = self._event(kind, letter, failure, nonce)
        age = self.moment.now - entry.when
        return spool.with_event(self._name(letter), event, self.moment, age)

    def _name(self, letter: str) -> str:
        return Generation.of(self.state.documents.enrolment().baseline, letter).folder

    def _event(self, kind: Kind, letter: str, failure: Failure | None, nonce: str) -> Report:
        baseline = self.state.documents.enrolment().baseline
        return Report(
            "1.0", kind, nonce, self.state.name, baseline, __version__,
            letter=letter, ring=self.ring, failure=failure, device=self.device,
            id=letter_id(self.secret, self.state.name, baseline, letter),
        )  # fmt: skip


def _letter(label: str) -> str:
    return parse_label(label)[1] if label and has_letter(label) else ""
