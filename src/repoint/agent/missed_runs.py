"""Update runs that could not work: one may happen, two in a row are shown to people."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

import msgspec

from repoint.agent.agent_state import AgentState
from repoint.device.os_errors import explained
from repoint.device.store.files import RecordFolder, read_note
from repoint.device.store.store import Store
from repoint.device.store.store_lock import store_file_lock
from repoint.fs.lock import LockHeldError

HINDERED = 2
"""The number of runs in a row that could not work from which it is an error."""

_FILE = "missed.json"
_LOCK = "missed.lock"

_WAIT = 10.0
"""Seconds to wait for another run that counts; it takes no longer than a write."""

_LONG = 1800
"""Seconds for which an update run may keep others from starting; a timer fires once an hour."""


class _Missed(msgspec.Struct, frozen=True):
    runs: int
    since: int
    until: int

    @property
    def is_error(self) -> bool:
        return self.runs >= HINDERED and self.until - self.since >= _LONG


def add_missed_run(store: Store, now: int) -> int:
    """Count a run that could not start, because another one is active.

    Returns:
        Their number if the other one has been active for long, else 0.
    """
    with _counting(store):
        last = read_note(store.path / _FILE, _Missed)
        if last is None or last.since > now:  # the clock may have been set back
            last = _Missed(0, now, now)
        missed = _Missed(last.runs + 1, last.since, now)
        RecordFolder(store.path).write(_FILE, missed)
    return missed.runs if missed.is_error else 0


def clear_missed_runs(store: Store) -> None:
    """Record that a run has started."""
    records = RecordFolder(store.path)
    if records.exists(_FILE):
        with _counting(store):
            records.remove(_FILE)


def describe_hindrance(store: Store, agent_state: AgentState) -> str:
    """Return why update runs do not work, as one line; "" if they do."""
    missed = read_note(store.path / _FILE, _Missed)
    if missed is not None and missed.is_error:
        return f"the last {missed.runs} update runs could not start, because another one is active"
    if agent_state.hindered >= HINDERED:
        return (
            f"the last {agent_state.hindered} update runs could not work: {agent_state.hindrance}"
        )
    return ""


@contextlib.contextmanager
def _counting(store: Store) -> Iterator[None]:
    """Count the runs that could not start one after the other."""
    with explained("count the update runs that could not start"):
        try:
            with store_file_lock(store.path, _LOCK, wait=_WAIT):
                yield
        except LockHeldError:
            path = store.path / _LOCK
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path)) from None
