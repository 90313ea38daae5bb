"""Set the device's clock forward or back."""

from __future__ import annotations

import datetime as dt

import pytest


def set_clock(monkeypatch: pytest.MonkeyPatch, by: dt.timedelta) -> None:
    """Shift the present time for the device and for python-tuf."""
    now = dt.datetime.now(dt.UTC) + by

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return now.astimezone(tz)

    monkeypatch.setattr("repoint.device.fetch.client.dt.datetime", Clock)
    monkeypatch.setattr("tuf.ngclient._internal.trusted_metadata_set.datetime.datetime", Clock)
