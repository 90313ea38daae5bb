"""What a vendor is shown of what is published, and of what is about to be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from repoint.cli.vendor import rollout_view
from repoint.cli.vendor.drafts import print_drafts
from repoint.cli.vendor.repository_view import print_view
from repoint.cli.vendor.rollout_view import print_rollouts
from repoint.model.advisory import Advisory, Fix
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.rollout.plan import parse_ramp
from tests.world import FIXED, Vendor, advisory

RAMP = parse_ramp("0.1% 100% over 4d")
WITHOUT = Fix((), "engine", "A picture may leak memory", "A leak was closed.")


@pytest.fixture(scope="module")
def first_offered(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A vendor whose (a) reaches devices in steps: signatures take time."""
    made = Vendor(tmp_path_factory.mktemp("offered") / "vendor")
    made.baseline()
    fixes = (*advisory("CVE-2020-1000").fixes, WITHOUT)
    made.improve({"engine": {**FIXED, "a": "a"}}, texts=Advisory("Security update", fixes))
    made.publisher.publish(made.product, steps=RAMP)
    return made


@pytest.fixture(autouse=True)
def soon_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views are of the time of the tests' vendor, not of today."""
    monkeypatch.setattr(rollout_view, "time", SimpleNamespace(time=lambda: 1_700_000_500))


@pytest.fixture
def offered(first_offered: Vendor, tmp_path: Path) -> Vendor:
    return first_offered.copied(tmp_path / "vendor")


def shown(vendor: Vendor, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_view(vendor.publisher.show())
    return capsys.readouterr().out


def rollouts(vendor: Vendor, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_rollouts(vendor.publisher.rollouts.show(vendor.product))
    return capsys.readouterr().out


def test_the_repository_shows_how_far_a_letter_is_offered(
    offered: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(offered, capsys)
    assert "26.3.1 (a) for linux-x86_64 (25D2128), offered to 0.1 % of devices, and to all" in out
    assert "; CVE-2020-1000 and 1 fix without a CVE id\n" in out
    selection = Selection(offered.product, "26.3.1 (a)")
    offered.publisher.rollouts.halt(selection, reason="it crashes")
    assert "(25D2128), halted at 0.1 %: it crashes\n" in shown(offered, capsys)


def test_a_letter_is_superseded_when_all_devices_get_a_later_one(
    offered: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    offered.improve({"engine": {**FIXED, "b": "b"}}, "CVE-2020-2000")
    offered.publisher.publish(offered.product, steps=RAMP)
    assert rollouts(offered, capsys).count("0.1 % of devices, since") == 2
    offered.publisher.rollouts.finish(Selection(offered.product, "26.3.1 (b)"))
    first, second, *steps = rollouts(offered, capsys).splitlines()
    assert first.endswith(": superseded by (b)")
    assert "(b) for 26.3.1" in second
    assert "offered to all devices" in second
    assert all("CVE" not in step for step in steps)
    assert "(25D2128), superseded by (b)\n" in shown(offered, capsys)


def test_a_draft_shows_what_it_no_longer_fixes_and_what_it_repeats(
    offered: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    offered.withdraw("a")
    offered.improve({"engine": {**FIXED, "a": "a"}}, "CVE-2020-1000", drop=("a:2",))
    print_drafts(offered.publisher, offered.publisher.drafts(offered.product))
    out = capsys.readouterr().out
    assert "    fixes CVE-2020-1000\n    no longer fixed: a:2\n" in out
    assert "    has the same content as 26.3.1 (a), which was withdrawn: it crashes\n" in out
