"""The walks of docs/architecture.md name the rooms that a device goes through, in their order."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import repoint
from repoint.agent.startup import merge_at_start
from tests.places import Place
from tests.played_host import PlayedMachine
from tests.world import Vendor

SOURCE = Path(repoint.__file__).parent
PAGE = Path(__file__).parents[1] / "docs/architecture.md"
LEFT_OUT = {"cli", "store", "model", "fs", "tree", "image", "host", "repository"}

Step = tuple[str, str]
"""A room, and the function with which a walk enters it."""


def steps_of(heading: str) -> list[Step]:
    """Return the rows of the table below a heading of the page."""
    section = PAGE.read_text().split(f"\n**{heading}**", 1)[1].split("\n\n**", 1)[0]
    return re.findall(r"^\| \d+ \| `(\w+)` \| `([\w.]+)` \|", section, re.MULTILINE)


def room_of(file: str) -> str:
    """Return the room of a source file; empty for a file outside of the rooms."""
    if not file.startswith(f"{SOURCE}/"):
        return ""
    parts = Path(file).relative_to(SOURCE).parts
    parts = parts[1:] if parts[0] == "device" else parts
    return parts[0] if len(parts) > 1 else ""


def trace(walk: Callable[[], object], named: set[Step]) -> tuple[list[Step], set[str]]:
    """Return the calls of the named functions, each run of one as one call, and all rooms."""
    calls: list[Step] = []
    rooms: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        # Importing a module enters no room.
        if event != "call" or frame.f_code.co_name.startswith("<"):
            return
        file = frame.f_code.co_filename
        room = room_of(file)
        if not room:
            return
        rooms.add(room)
        step = (room, f"{Path(file).stem}.{frame.f_code.co_name}")
        if step in named and calls[-1:] != [step]:
            calls.append(step)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        walk()
    finally:
        sys.setprofile(before)
    return calls, rooms - LEFT_OUT


@pytest.fixture
def staged(place: Place, vendor: Vendor) -> Place:
    """A device on a played machine, on which an improvement is staged."""
    place.host = PlayedMachine().host
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    return place


def check(heading: str, walk: Callable[[], object]) -> None:
    """Compare a walk of the page with what is called."""
    steps = steps_of(heading)
    calls, rooms = trace(walk, set(steps))
    assert calls == steps, f"mend the walk {heading!r} in {PAGE.name}"
    assert rooms == {room for room, _ in steps}


def test_the_page_describes_an_installation(place: Place, vendor: Vendor) -> None:
    place.host = PlayedMachine().host
    place.enroll()
    vendor.release()
    place.device.check(None)
    check("`repoint install`", lambda: place.device.install(None, user_initiated=True))


def test_the_page_describes_a_restart(staged: Place) -> None:
    check("`repoint restart`", lambda: staged.device.restart(None))


def test_the_page_describes_the_start_of_the_machine(staged: Place) -> None:
    check(
        "The start of the machine",
        lambda: merge_at_start(staged.device, watch=lambda store: None, to=Path("/nowhere")),
    )
