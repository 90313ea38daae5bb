"""Which fixes a later letter loses, and which it would reopen on a device."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from repoint.model.advisory import Advisory, Fix
from repoint.model.improvement import ImprovedComponent, Improvement, LetteredAdvisory
from repoint.model.reopened import lost_fixes, reopened_fixes
from repoint.model.tree import Layer
from tests.world import NAME

Claim = tuple[str, str]
"""A fix: its CVE id, or a word for its texts if it has none, and its component."""


@dataclass(frozen=True)
class Letter:
    """A letter for the tables: its fixes by the letter that introduced them, and its trees."""

    letter: str
    fixes: dict[str, list[Claim]]
    trees: dict[str, str]
    renamed: dict[str, str] = field(default_factory=dict)

    def record(self) -> Improvement:
        return Improvement(
            format="1.0",
            product="acme-kiosk",
            baseline=NAME,
            letter=self.letter,
            created=1,
            advisories=tuple(
                LetteredAdvisory(letter, Advisory("t", tuple(_fix(*claim) for claim in claims)))
                for letter, claims in self.fixes.items()
            ),
            components=tuple(
                ImprovedComponent(name, seal, Layer((), ()), 0) for name, seal in self.trees.items()
            ),
            renamed=self.renamed,
        )


def _fix(what: str, component: str) -> Fix:
    cves = tuple(part for part in what.split("+") if part.startswith("CVE-"))
    text = next((part for part in what.split("+") if not part.startswith("CVE-")), what)
    return Fix(cves, component, f"impact {text}", f"description {text}")


X, Y, Z = "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000"
A = Letter("a", {"a": [(X, "engine")]}, {"engine": "1"})
B = Letter("b", {"a": [(X, "engine")], "b": [(Y, "engine")]}, {"engine": "2"})


@pytest.mark.parametrize(
    ("in_force", "candidate", "reopened"),
    [
        pytest.param(None, A, [], id="nothing is in force"),
        pytest.param(A, B, [], id="a cumulative letter"),
        pytest.param(
            B, Letter("c", {"a": [(X, "engine")], "c": [(Z, "engine")]}, {"engine": "3"}),
            [f"{Y} in engine"], id="the one in the middle is withdrawn",
        ),
        pytest.param(
            B, Letter("c", {"c": [(Z, "engine")]}, {"engine": "3"}),
            [f"{X} in engine", f"{Y} in engine"], id="all earlier ones are withdrawn",
        ),
        pytest.param(
            A, Letter("c", {"a": [(X, "engine")], "c": [(Z, "engine")]}, {"engine": "3"}),
            [], id="the withdrawn one is not in force here",
        ),
        pytest.param(
            B, Letter("c", {"a": [(X, "engine")], "c": [(Y, "engine")]}, {"engine": "3"}),
            [], id="the next letter claims it again, as its own",
        ),
        pytest.param(
            Letter("a", {"a": [(X, "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [(X, "runtime")]}, {"runtime": "1"}),
            [f"{X} in engine"], id="moved to another component, and the first is the baseline's",
        ),
        pytest.param(
            Letter("a", {"a": [(X, "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [(X, "runtime")]}, {"engine": "1", "runtime": "1"}),
            [], id="moved to another component, and the first keeps its tree",
        ),
        pytest.param(
            Letter("a", {"a": [(X, "engine"), (X, "runtime")]}, {"engine": "1", "runtime": "1"}),
            Letter("b", {"b": [(X, "engine")]}, {"engine": "2"}),
            [f"{X} in runtime"], id="one of two components is left out",
        ),
        pytest.param(
            A, Letter("b", {"b": [(Y, "engine")]}, {"engine": "2"}, {X: Y}),
            [], id="a CVE id is renamed",
        ),
        pytest.param(
            A, Letter("c", {"c": [(Z, "engine")]}, {"engine": "2"}, {X: Y, Y: Z}),
            [], id="a CVE id is renamed twice",
        ),
        pytest.param(
            A, Letter("b", {"b": [(Y, "engine")]}, {"engine": "2"}),
            [f"{X} in engine"], id="another CVE id, and nobody says that it is the same",
        ),
        pytest.param(
            A, Letter("b", {"b": [(Z, "engine")]}, {"engine": "2"}, {X: Y}),
            [f"{X} in engine"], id="renamed to an id that is not fixed",
        ),
        pytest.param(
            A, Letter("b", {"b": [(Z, "engine")]}, {"engine": "2"}, {X: Y, Y: X}),
            [f"{X} in engine"], id="renamed in a circle",
        ),
        pytest.param(
            A, Letter("b", {"b": [(Y, "runtime")]}, {"runtime": "2"}, {X: Y}),
            [f"{X} in engine"], id="renamed, and fixed elsewhere only",
        ),
        pytest.param(
            Letter("a", {"a": [("leak", "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [("crash", "engine")]}, {"engine": "2"}),
            ["a:1 in engine"], id="a fix without a CVE id",
        ),
        pytest.param(
            Letter("a", {"a": [("leak", "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [(f"{X}+leak", "engine")]}, {"engine": "2"}),
            [], id="a fix that got its CVE id later",
        ),
        pytest.param(
            Letter("a", {"a": [("one", "engine"), ("two", "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [("two", "engine")]}, {"engine": "2"}),
            ["a:1 in engine"], id="one of two fixes without a CVE id",
        ),
        pytest.param(
            Letter("a", {"a": [(f"{X}+{Y}", "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [(Y, "engine")]}, {"engine": "2"}),
            [f"{X} in engine"], id="one of two CVE ids of a fix",
        ),
        pytest.param(
            B, Letter("c", {"c": [(Z, "shell")]}, {"engine": "2", "shell": "1"}),
            [], id="a forgotten claim, while the tree stays",
        ),
        pytest.param(
            Letter("a", {"a": [(X, "engine"), (X, "engine")]}, {"engine": "1"}),
            Letter("b", {"b": [(Y, "engine")]}, {"engine": "2"}),
            [f"{X} in engine"], id="the same fix twice is one",
        ),
    ],
)  # fmt: skip
def test_what_a_candidate_reopens(
    in_force: Letter | None, candidate: Letter, reopened: list[str]
) -> None:
    active = in_force.record() if in_force is not None else None
    assert [str(fix) for fix in reopened_fixes(active, candidate.record())] == reopened


def test_the_vendor_is_asked_about_a_forgotten_claim_even_if_the_tree_stays() -> None:
    later = Letter("c", {"c": [(Z, "shell")]}, {"engine": "2", "shell": "1"}).record()
    lost = lost_fixes(B.record().advisories, later.advisories, {})
    assert [fix.name for fix in lost] == [X, Y]
