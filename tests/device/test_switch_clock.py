"""A clock that is set after a switch does not change what was started before it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repoint.device.status.past import Past
from repoint.device.store.generations.switch_clock import active_at, active_since, record_clock
from repoint.host.kernel.boot import Boot
from repoint.host.kernel.start_time import own_start
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import FIXED, Vendor

HOUR = 3600


class SetClock(Boot):
    """The boot, after the clock was set."""

    def __init__(self, by: int, name: str = "") -> None:
        super().__init__()
        self._by = by
        self._name = name

    def identity(self) -> str:
        return self._name or super().identity()

    def origin(self) -> float:
        return super().origin() + self._by


def link_time(place: Place) -> float:
    return os.lstat(place.product.links.active_path).st_mtime


@pytest.mark.one_quick
@pytest.mark.parametrize("by", [-HOUR, 0, HOUR])
def test_what_was_started_before_a_switch_stays_so_when_the_clock_is_set(
    improved: Place, by: int
) -> None:
    state = improved.product
    active = state.links.active()
    assert active is not None
    new, old = (state.generations.seals(g)["engine"] for g in (active, active.baseline))
    past = Past(state.store, SetClock(by))
    assert past.seal_at(new, own_start()) == old
    ticks = os.sysconf("SC_CLK_TCK")
    now = int((active_since(state, Boot()) - Boot().origin() + 1) * ticks)
    assert past.seal_at(new, now) == new


def test_the_time_of_a_switch_follows_the_clock_within_one_boot(improved: Place) -> None:
    state = improved.product
    assert active_since(state, SetClock(HOUR)) == pytest.approx(link_time(improved) + HOUR, abs=1)
    assert active_since(state, SetClock(HOUR, "another")) == link_time(improved)


def test_what_was_active_when_a_process_started_does_not_depend_on_the_clock(
    improved: Place, vendor: Vendor
) -> None:
    """Between (a) and (b), the clock was set a year ahead and back again."""
    state = improved.product
    first = state.links.active()
    assert first is not None
    improved.run(MAPS_A_LIBRARY, launched=True)  # so that (a) is kept
    between = Boot().age()
    vendor.release({"engine": {**FIXED, "b": "b"}}, "CVE-2026-2000")
    improved.device.check(None)
    improved.device.install(None, user_initiated=True)
    improved.device.activate(None)
    second = state.links.active()
    assert second is not None and second != first
    history = state.path / "history.jsonl"
    lines = history.read_bytes().replace(b'"when":1', b'"when":9')
    history.write_bytes(lines)
    ticks = os.sysconf("SC_CLK_TCK")
    new, old, base = (
        state.generations.seals(each)["engine"] for each in (second, first, first.baseline)
    )
    past = Past(state.store, SetClock(-HOUR))
    assert past.seal_at(new, int(between * ticks)) == old
    assert past.seal_at(new, own_start()) == base
    assert active_at(state, Boot().age(), Boot()) is None
    assert active_at(state, between, SetClock(0, "another")) is None


@pytest.mark.slow
def test_a_record_that_is_missing_damaged_or_of_another_switch_does_not_count(
    improved: Place,
) -> None:
    state = improved.product
    active = state.links.active()
    assert active is not None
    record_clock(state, active.baseline, Boot())
    assert active_since(state, SetClock(HOUR)) == link_time(improved)
    record: Path = state.path / "switch.json"
    record.write_bytes(b"{")
    assert active_since(state, SetClock(HOUR)) == link_time(improved)
    record.unlink()
    assert active_since(state, SetClock(HOUR)) == link_time(improved)
