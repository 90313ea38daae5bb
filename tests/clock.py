"""The device's clock, set on or back."""

from __future__ import annotations

import datetime as dt

import pytest


def set_clock(monkeypatch: pytest.MonkeyPatch, by: dt.timedelta) -> None:
    """Let the device, and the update framework in it, take now for another time."""
    now = dt.datetime.now(dt.UTC) + by

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return now.astimezone(tz)

    monkeypatch.setattr("repoint.device.fetch.client.dt.datetime", Clock)
    monkeypatch.setattr("tuf.ngclient._internal.trusted_metadata_set.datetime.datetime", Clock)
