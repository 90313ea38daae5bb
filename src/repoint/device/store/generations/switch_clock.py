"""How the clock was set when the active generation was switched to.

The time of a switch is that of the active link, by a clock that may have been set since. How the
clock stood against the time since the boot is recorded before the switch, so that the time can be
compared with the starts of processes.
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


class _Switch(msgspec.Struct, frozen=True):
    """The clock at a switch.

    Attributes:
        generation: The folder of the generation that was switched to.
        boot: The identity of the boot.
        origin: When that boot was, in seconds since 1970, by the clock as it was set.
    """

    generation: str
    boot: str
    origin: float


def record_clock(state: ProductState, generation: Generation, boot: Boot) -> None:
    """Record the clock before a switch. A full disk prevents no switch, so it is no error."""
    path = state.path / _FILE
    record = _Switch(generation.folder, boot.identity(), boot.origin())
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
