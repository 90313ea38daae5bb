"""Nobody waits for the figures of a first view: they were read before, and are kept fresh."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from repoint.fleet.page.app import create_renderer
from repoint.fleet.page.auth.address import Address
from repoint.fleet.page.i18n import CATALOGUE
from repoint.fleet.page.recent import STALE
from repoint.fleet.page.state import PageState
from repoint.fleet.page.warming import LANGUAGES, Warming
from repoint.fleet.records import FleetState
from repoint.fleet.stores.errors import DatabaseAwayError
from tests.fleet.page.conftest import World


class Watched:
    """A store that notes what is read, and in which thread."""

    def __init__(self, fleet: FleetState) -> None:
        self.fleet = fleet
        self.away = False
        self.read: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise DatabaseAwayError("The database failed: connection refused")
        self.read.append((threading.current_thread().name, name))
        return getattr(self.fleet, name)


@pytest.fixture
def watched(world: World) -> Watched:
    return Watched(world.fleet)


def page_of(watched: Watched, world: World, folder: Path, clock: list[float]) -> PageState:
    page = PageState(
        watched,  # type: ignore[arg-type]
        folder,
        Address("http://127.0.0.1:1"),
        world.vendor,
        clock=lambda: clock[0],
    )
    page.figures._clock = lambda: clock[0]
    return page


def test_the_first_view_reads_no_figures_also_after_hours_without_one(
    watched: Watched, world: World, tmp_path: Path
) -> None:
    clock = [time.time()]
    page = page_of(watched, world, tmp_path, clock)
    warming = Warming(page, create_renderer(), every=0.05)
    warming.start_and_wait(60)
    for _ in range(40):  # two hours and more, in steps that the thread follows
        clock[0] += STALE / 1.5
        before = len(watched.read)
        deadline = time.monotonic() + 30
        while "failures" not in {name for _, name in watched.read[before:]}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    watched.read.clear()
    Warming(page, create_renderer()).show(("en",))
    own = {name for thread, name in watched.read if thread == threading.current_thread().name}
    assert own <= {"products"}


def test_a_database_that_is_away_delays_the_page_by_no_more_than_its_patience(
    watched: Watched, world: World, tmp_path: Path
) -> None:
    watched.away = True
    page = page_of(watched, world, tmp_path, [time.time()])
    warming = Warming(page, create_renderer())
    began = time.monotonic()
    warming.start_and_wait(30)
    assert time.monotonic() - began < 30
    assert warming.is_alive()


def test_every_language_is_warmed() -> None:
    assert {path.stem for path in CATALOGUE.iterdir()} == set(LANGUAGES)
