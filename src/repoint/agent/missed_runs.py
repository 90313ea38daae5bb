"""Update runs that could not work: one may happen, two in a row are shown to people."""

from __future__ import annotations

import msgspec

from repoint.agent.agent_state import AgentState
from repoint.device.os_errors import explained
from repoint.device.store.files import RecordFolder, read_note
from repoint.device.store.store import Store

HINDERED = 2
"""The number of runs in a row that could not work from which it is an error."""

_FILE = "missed.json"


class _Missed(msgspec.Struct, frozen=True):
    runs: int


def add_missed_run(store: Store) -> int:
    """Count a run that could not start, because another one is active; return their number."""
    runs = _missed(store) + 1
    with explained("count the update runs that could not start"):
        RecordFolder(store.path).write(_FILE, _Missed(runs))
    return runs


def clear_missed_runs(store: Store) -> None:
    """Record that a run has started."""
    with explained("count the update runs that could not start"):
        RecordFolder(store.path).remove(_FILE)


def describe_hindrance(store: Store, agent_state: AgentState) -> str:
    """Return why update runs do not work, as one line; "" if they do."""
    missed = _missed(store)
    if missed >= HINDERED:
        return f"the last {missed} update runs could not start, because another one is active"
    if agent_state.hindered >= HINDERED:
        return (
            f"the last {agent_state.hindered} update runs could not work: {agent_state.hindrance}"
        )
    return ""


def _missed(store: Store) -> int:
    note = read_note(store.path / _FILE, _Missed)
    return note.runs if note is not None else 0
