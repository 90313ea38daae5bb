"""How the clock was set when the active generation was switched to.

The time of a switch is that of the active link, by a clock that may have been set since. How the
clock stood against the time since the boot is recorded before the switch, so that the time can be
compared with the starts of processes. So is what was active before, for as long as the boot lasts:
no process is older.
"""

from __future__ import annotations

import contextlib
import os

import msgspec

from repoint.device.store.files import read_note
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.fs.durable import write_durably
from repoint.host.kernel.boot import Boot

_FILE = "switch.json"

_MOST = 100
"""Switches of one boot that are remembered."""


class _Ended(msgspec.Struct, frozen=True):
    """A generation that was active in this boot until some seconds after it began."""

    generation: str
    until: float


class _Switch(msgspec.Struct, frozen=True):
    """The clock at a switch.

    Attributes:
        generation: The folder of the generation that was switched to.
        boot: The identity of the boot.
        origin: When that boot was, in seconds since 1970, by the clock as it was set.
        before: What was active in that boot, oldest first.
    """

    generation: str
    boot: str
    origin: float
    before: tuple[_Ended, ...] = ()


def record_clock(state: ProductState, generation: Generation, boot: Boot) -> None:
    """Record the clock before a switch. A full disk prevents no switch, so it is no error."""
    path = state.path / _FILE
    last, active = read_note(path, _Switch), state.links.active()
    before = last.before if last is not None and last.boot == boot.identity() else ()
    if active is not None and active != generation:
        before = (*before, _Ended(active.folder, boot.age()))[-_MOST:]
    record = _Switch(generation.folder, boot.identity(), boot.origin(), before)
    try:
        write_durably(path, msgspec.json.encode(record))
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def active_since(state: ProductState, boot: Boot) -> float:
    """Return when the active generation was switched to, in seconds since 1970.

    If that was in this boot, it is by the clock as it is set now.
    """
    when = os.lstat(state.links.active_path).st_mtime
    switch = read_note(state.path / _FILE, _Switch)
    active = state.links.active()
    if switch is None or active is None or switch.generation != active.folder:
        return when
    if not switch.boot or switch.boot != boot.identity():
        return when
    return when + boot.origin() - switch.origin


def active_at(state: ProductState, age: float, boot: Boot) -> Generation | None:
    """Return what was active some seconds after the boot, however the clock was set since.

    None if that is not recorded: nothing was switched in this boot after that time, or the record
    is lost.
    """
    switch = read_note(state.path / _FILE, _Switch)
    if switch is None or not switch.boot or switch.boot != boot.identity():
        return None
    found = next((ended for ended in switch.before if age < ended.until), None)
    return Generation.from_folder(found.generation) if found is not None else None
