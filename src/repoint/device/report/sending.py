"""Sending: one request after another, until nothing waits or a server does not do its part."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from repoint.device.fetch.message import LIMIT, Answer, Message, deliver
from repoint.device.fetch.network import Network
from repoint.device.report.moment import Moment
from repoint.device.report.spool import Deletion, Spool, in_requests, is_linkable
from repoint.device.report.spool_file import SpoolFile
from repoint.model.errors import RepointError
from repoint.model.report import Report

_BUDGET = 2 * LIMIT
"""Seconds after which no further request is begun."""

_MOST_REQUESTS = 16
_TAKEN = 202


class _Refusal(msgspec.Struct, frozen=True):
    """The body of an answer that refuses a batch."""

    error: str
    index: int


@dataclass(frozen=True)
class Sending:
    """Sends the reports of one product. The spool is never locked during a request.

    Attributes:
        file: The spool.
        network: How this device reaches servers.
        moment: Returns the present moment.
        rng: The source of jitter.
    """

    file: SpoolFile
    network: Network
    moment: Callable[[], Moment]
    rng: random.Random

    def send(self, *, now: bool) -> bool:
        """Make the requests that are due; return False if a server did not do its part."""
        end = time.monotonic() + _BUDGET
        done = True
        for deletion in self.file.read().deletions:
            if (now or deletion.delays.are_over(self._now())) and time.monotonic() < end:
                done = self._delete(deletion) and done
        sent_events = False
        for _ in range(_MOST_REQUESTS):
            spool = self.file.read()
            # What is to be deleted must not be sent once more, and then deleted.
            owed = any(deletion.address == spool.address for deletion in spool.deletions)
            if not spool.address or owed or time.monotonic() >= end:
                return done and not owed
            batch = spool.batch(self.moment())
            is_due = now or spool.delays.are_over(self._now())
            # A count goes with another run than events, and so over another connection.
            if not batch or not is_due or (sent_events and not is_linkable(batch[0])):
                return done
            if not self._post(spool.address, batch):
                return False
            sent_events = is_linkable(batch[0])
        return done

    def _post(self, address: str, batch: tuple[Report, ...]) -> bool:
        """Send a batch; return False if nothing more should be sent now."""
        answer: Answer | None = None
        why = ""
        try:
            body = encode_batch(batch)
            answer = deliver(self.network, Message("POST", f"{address}/v1/reports", body))
        except RepointError as error:
            why = error.message
        with self.file.changing() as change:
            if change.spool.address != address:
                return False  # the owner has changed their mind meanwhile
            change.spool = self._after(change.spool, batch, answer, why)
            return not change.spool.delays.failures

    def _after(
        self, spool: Spool, batch: tuple[Report, ...], answer: Answer | None, why: str
    ) -> Spool:
        """Return the spool after an answer, or after none."""
        now = self._now()
        if answer is None:
            return spool.with_failure(spool.delays.longer(now, self.rng), why, now)
        if answer.status == _TAKEN:
            return spool.with_delivered(batch, now)
        if answer.status == 413:
            why = "the server refuses a report as too large"
            if len(batch) == 1:
                return spool.with_refused(batch, why, now)
            return spool.with_smaller_batches(len(batch), now)
        refused = _refused(answer, len(batch))
        if refused is not None:
            why = "the server refuses a report as malformed"
            return spool.with_refused((batch[refused],), why, now)
        why = f"the server answered with status {answer.status}"
        return spool.with_failure(spool.delays.longer(now, self.rng, answer.after), why, now)

    def _delete(self, deletion: Deletion) -> bool:
        answer = _asked_to_delete(self.network, deletion)
        done = answer is not None and answer.status == _TAKEN
        after = answer.after if answer is not None else 0
        delays = None if done else deletion.delays.longer(self._now(), self.rng, after)
        with self.file.changing() as change:
            change.spool = change.spool.with_deletion(deletion, delays)
        return done

    def _now(self) -> int:
        return self.moment().now


def encode_batch(batch: tuple[Report, ...]) -> bytes:
    """Return the body of a request: the very bytes that are sent."""
    return msgspec.json.encode(batch)


def bodies(reports: Sequence[Report]) -> list[bytes]:
    """Return the body of each request that reports would be sent in."""
    return [encode_batch(batch) for batch in in_requests(reports)]


def ask_to_delete(network: Network, deletion: Deletion) -> bool:
    """Ask a fleet once to delete what it got; return whether it will."""
    answer = _asked_to_delete(network, deletion)
    return answer is not None and answer.status == _TAKEN


def _asked_to_delete(network: Network, deletion: Deletion) -> Answer | None:
    body = msgspec.json.encode(deletion.ids)
    try:
        return deliver(network, Message("DELETE", f"{deletion.address}/v1/reports", body))
    except RepointError:
        return None


def _refused(answer: Answer, sent: int) -> int | None:
    """Return the number of the report that a server refuses, if it says so as agreed."""
    if answer.status != 400:
        return None
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except msgspec.DecodeError:
        return None  # a page of a portal, for instance
    return refusal.index if 0 <= refusal.index < sent else None
