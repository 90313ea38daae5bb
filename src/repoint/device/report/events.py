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
from repoint.model.report_ids import letter_id
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
        for entry in entries[spool.history if spool.history <= len(entries) else 0 :]:
            spool = self._with_entry(spool, entry)
        return msgspec.structs.replace(spool, history=len(entries))

    def with_failure(self, spool: Spool, letter: str, failure: Failure) -> Spool:
        """Note that a letter could not be installed."""
        return self._with_event(spool, "failed", letter, failure, 0)

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

    def _with_entry(self, spool: Spool, entry: HistoryEntry) -> Spool:
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
        age = self.moment.now - entry.when
        return self._with_event(spool, kind, letter, failure, age)

    def _with_event(
        self, spool: Spool, kind: Kind, letter: str, failure: Failure | None, age: int
    ) -> Spool:
        baseline = self.state.documents.enrolment().baseline
        report = Report(
            "1.0", kind, new_nonce(self.rng), self.state.name, baseline, __version__,
            letter=letter, ring=self.ring, failure=failure, device=self.device,
            id=letter_id(self.secret, self.state.name, baseline, letter),
        )  # fmt: skip
        return spool.with_event(Generation.of(baseline, letter).folder, report, self.moment, age)


def _letter(label: str) -> str:
    return parse_label(label)[1] if label and has_letter(label) else ""
