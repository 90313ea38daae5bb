"""How often people are told, and that a trouble is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.fleet.guard.announcements import REPEAT, Announcement, Announcements
from repoint.fleet.stores.errors import DatabaseAwayError
from repoint.fleet.stores.state import SqlState
from tests.fleet.guard.scene import Scene
from tests.world import Vendor

NOW = 1_800_000_000


def trouble(text: str = "kiosk is not guarded: away", product: str = "kiosk") -> Announcement:
    return Announcement("trouble", text, "", NOW, product)


def told(announcements: Announcements, *messages: Announcement, now: int = NOW) -> list[str]:
    due = announcements.due(list(messages), now)
    for each in due:
        announcements.delivered(each)
    return [each.text for each in due]


def test_a_trouble_is_told_once_and_its_end_once() -> None:
    announcements = Announcements()
    assert told(announcements, trouble()) == ["kiosk is not guarded: away"]
    assert told(announcements, trouble()) == []
    assert told(announcements) == ["kiosk is guarded again"]
    assert told(announcements) == []
    assert told(announcements, trouble()) == ["kiosk is not guarded: away"]


def test_causes_that_alternate_are_told_once_each_and_not_without_end() -> None:
    announcements = Announcements()
    texts = [str(number % 20) for number in range(100)]
    said = [line for text in texts for line in told(announcements, trouble(text))]
    assert said == ["0", "1", "2", "3", "4"]
    assert told(announcements) == ["kiosk is guarded again"]


def test_what_lasts_is_told_again_after_hours() -> None:
    announcements = Announcements()
    told(announcements, trouble())
    later = Announcement("trouble", trouble().text, "", NOW + REPEAT, "kiosk")
    assert told(announcements, later, now=NOW + REPEAT) == ["kiosk is not guarded: away"]


def test_nobody_knows_about_products_while_the_repository_cannot_be_read() -> None:
    announcements = Announcements()
    told(announcements, trouble())
    assert told(announcements, trouble("Nothing is guarded", "")) == ["Nothing is guarded"]
    assert told(announcements, trouble()) == ["The repository can be read again"]
    assert told(announcements) == ["kiosk is guarded again"]


@pytest.mark.parametrize("back_again", [False, True])
def test_the_end_of_a_trouble_waits_until_it_is_delivered(back_again: bool) -> None:
    announcements = Announcements()
    told(announcements, trouble())
    assert [each.event for each in announcements.due([], NOW)] == ["recovered"]
    if back_again:
        assert told(announcements, trouble()) == ["kiosk is not guarded: away"]
    else:
        assert told(announcements) == ["kiosk is guarded again"]


def test_the_guard_says_when_it_guards_again(vendor: Vendor, tmp_path: Path) -> None:
    scene = Scene(tmp_path, vendor)
    away = True

    def state() -> SqlState:
        if away:
            raise DatabaseAwayError("The database failed: connection refused")
        return scene.state

    guard = scene.guard(state)
    for _ in range(3):
        assert guard.look().is_troubled
    away = False
    for _ in range(3):
        assert not guard.look().is_troubled
    assert [(each.event, each.text) for each in scene.announced] == [
        ("trouble", "acme-kiosk is not guarded: The database failed: connection refused"),
        ("recovered", "acme-kiosk is guarded again"),
    ]
    scene.state.close()
