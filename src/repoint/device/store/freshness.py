"""How long what the vendor said last can be relied on."""

from __future__ import annotations

from datetime import datetime

import msgspec

from repoint.device.store.files import read_note
from repoint.device.store.product_state import ProductState

LONGEST = 30 * 86_400
"""Seconds after the last successful check for which it counts, however long metadata is valid."""

_CLOCK_ERROR = 86_400
"""Seconds by which the clock may have been set back since the last check."""


class _Signed(msgspec.Struct, frozen=True):
    expires: datetime


class _Metadata(msgspec.Struct, frozen=True):
    signed: _Signed


def is_stale(state: ProductState, now: int) -> bool:
    """Return whether the last successful check is too old to say that no fix is missing.

    The vendor states in the timestamp metadata how long a state of the repository may be relied on,
    a week by default. A check that finds it unchanged does not extend that.

    Args:
        state: The product.
        now: Seconds since 1970.
    """
    last = state.documents.last_check()
    if last is None:
        return False  # It was never checked, which says more.
    if not last.success - _CLOCK_ERROR <= now <= last.success + LONGEST:
        return True
    timestamp = read_note(state.metadata / "timestamp.json", _Metadata)
    return timestamp is not None and timestamp.signed.expires.timestamp() <= now
