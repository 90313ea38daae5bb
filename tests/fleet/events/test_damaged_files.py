"""A damaged file of events holds nothing up but itself, and upkeep goes on whatever happens."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import EventStoreError, open_objects
from repoint.fleet.stores.opening import open_state
from repoint.fleet.upkeep import Upkeep
from tests.fleet.events.test_archive import DAY, HOUR, NOW
from tests.fleet.reports import count
from tests.loop import run_in_loop


def test_a_damaged_file_is_named_and_other_days_are_merged(tmp_path: Path) -> None:
    state = open_state(f"sqlite:///{tmp_path}/fleet.db", keeps_events=True)
    objects = open_objects(str(tmp_path / "events"))
    archive = Archive(state.spool(), objects)
    for hour in (0, 1):
        state.add([count()], NOW + hour * HOUR + 60)
    archive.export(NOW + 3 * HOUR)
    damaged = date.fromtimestamp(NOW - 3 * DAY)
    name = f"{damaged}/03-000000000001-000000000009.parquet"
    (tmp_path / "events" / str(damaged)).mkdir()
    (tmp_path / "events" / name).write_bytes(b"junk")
    with pytest.raises(EventStoreError, match=f"of {damaged}"):
        archive.compact(NOW + 2 * DAY)
    assert len(objects.names()) == 2
    state.close()


def test_upkeep_reports_a_fault_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    rounds = 0
    state = open_state(f"sqlite:///{tmp_path}/fleet.db")

    def broken(now: int, days: int) -> None:
        raise OSError("No room\x1b[2J")

    monkeypatch.setattr(state, "prune", broken)
    monkeypatch.setattr("repoint.fleet.upkeep._EVERY_MINUTE", 0.0)
    monkeypatch.setattr("repoint.fleet.upkeep._EVERY_HOUR", 0.0)

    async def sleep(_: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("repoint.fleet.upkeep.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        run_in_loop(Upkeep(state, None, None, 90, said.append).run())
    assert len(said) == 1
    assert said[0].startswith("Upkeep failed: No room")
    assert "\x1b" not in said[0]
    state.close()
