"""Answers have a bounded length, however much there is, and say where they go on."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.fleet.advisories.exposure import BaselineKey, Fixes
from repoint.fleet.intake.app import Counts
from repoint.fleet.interfaces import api
from repoint.fleet.interfaces.answers import Answers
from repoint.fleet.interfaces.csv_text import csv_text
from repoint.fleet.interfaces.figures import Figures
from repoint.fleet.stores.opening import open_state
from repoint.model.report import Failure
from tests.fleet.collector import serving
from tests.fleet.reports import BASELINE, PRODUCT, count, event, new_id

HOUR = 3600
NOW = 1_790_000_000 // HOUR * HOUR
CVES = [f"CVE-2026-{number}" for number in range(1000, 1004)]
FIXES: Fixes = {BaselineKey.of(PRODUCT, BASELINE): {"a": frozenset(CVES[:2]), "b": frozenset(CVES)}}


Reads = Callable[[str], tuple[str, str]]
"""Returns the answer to a path, and its header Link."""


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Reads]:
    state = open_state(f"sqlite:///{tmp_path}/fleet.db", clock=lambda: NOW + 20 * HOUR)
    state.add([count(letter) for letter in ("", "a", "b")], NOW)
    failures: tuple[Failure, ...] = ("health", "decode", "write")
    state.add(
        [event("failed", new_id(), "a", ring=f"ring-{n}", failure=failure)
         for n, failure in enumerate(failures * 5)], NOW
    )  # fmt: skip
    answers = Answers(state, lambda _: FIXES, most=12)
    figures = Figures(answers, Counts(), lambda: 0, state.spool(), most=4)
    with serving(api.create_app(answers, figures)) as port:

        def read(path: str) -> tuple[str, str]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                return answer.read().decode(), answer.headers.get("link", "")

        yield read
    state.close()


@pytest.mark.parametrize(
    ("name", "total", "longest"),
    [("adoption", 3 * 21, 14), ("exposure", 4 * 21, 12), ("outcomes", 15, 12), ("failures", 15, 12)],
)  # fmt: skip
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_long_list_comes_in_parts_without_loss(
    read: Reads, name: str, total: int, longest: int, form: str
) -> None:
    lines: list[str] = []
    path = f"/api/v1/products/{PRODUCT}/{name}?format={form}"
    while path:
        text, link = read(path)
        part = [str(one) for one in json.loads(text)] if form == "json" else text.splitlines()[1:]
        assert 0 < len(part) <= longest
        lines += part
        following = re.fullmatch('<(.*)>; rel="next"', link)
        path = following[1] if following else ""
    assert len(set(lines)) == len(lines) == total


def test_a_figure_has_a_bounded_number_of_values_and_says_how_many_are_missing(
    read: Reads,
) -> None:
    text = read("/metrics")[0]
    assert len(re.findall("^repoint_letter_devices{", text, re.MULTILINE)) == 4
    left_out = 'repoint_left_out_series{figure="repoint_letter_devices"}'
    assert f"{left_out} {15 * 5 - 4}.0" in text


def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_made_harmless() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\ty"]
    assert csv_text([texts]) == "'=1+1,'+1,'-1,'@x,'\ty\r\n"
    assert csv_text([["a=1", -1, None, 2.5]]) == "a=1,-1,,2.5\r\n"
