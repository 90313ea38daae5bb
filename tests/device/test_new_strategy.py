"""A strategy is one file and one line in the table: a device works with one of this test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.agent.units.installation import setup_for
from repoint.device.errors import EnrolmentRefusedError, NotApplicableError, StoreDamagedError
from repoint.device.store.records import GraftPoint
from repoint.device.strategy import strategy
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from tests.device.copy_strategy import CopyStrategy
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import FIXED, OLD, PLATFORM, Vendor


@pytest.fixture
def copying(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    location = f"{CopyStrategy.__module__}:{CopyStrategy.__name__}"
    monkeypatch.setitem(strategy.STRATEGIES, "copy", location)
    CopyStrategy.calls.clear()
    graft = GraftRequest(place.graft, strategy="copy")
    place.device.enroll(
        place.vendor.product, place.server.url, place.vendor.root, {"engine": graft},
        BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    yield place


@pytest.mark.slow
def test_it_carries_a_product_from_enrolment_to_the_end_of_it(
    copying: Place, vendor: Vendor
) -> None:
    place = copying
    assert CopyStrategy.calls == ["prepare", "take"]
    vendor.release()
    place.update()
    assert place.graft.is_dir()
    assert not place.graft.is_symlink()
    assert place.text() == FIXED["main.py"]
    status = place.device.status(None)
    assert (status.in_force, status.protected) == ("26.3.1 (a)", True)
    assert [(graft.in_place, graft.layer) for graft in status.grafts] == [(True, "")]
    activated = [e.why for e in place.device.history(None) if e.event == "activated"]
    assert activated == ["copied"]
    assert place.device.boot.unmerge() == []
    place.device.remove(None, why="to see")
    assert place.text() == OLD["main.py"]
    assert setup_for(place.device.store, user=False).grafts == (place.graft,)
    place.device.unenroll(None)
    assert {"check_layer", "prepare_layers", "finish", "hide", "give_back"} <= {*CopyStrategy.calls}


def test_a_program_on_the_replaced_files_is_exposed(copying: Place, vendor: Vendor) -> None:
    place = copying
    vendor.release()
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    assert [process.pid for process in place.device.status(None).exposed] == [pid]


def test_it_refuses_a_layer_before_anything_is_downloaded(copying: Place, vendor: Vendor) -> None:
    vendor.release({"engine": {**FIXED, "a.forbidden": "no"}})
    copying.device.check(None)
    with pytest.raises(NotApplicableError, match="It cannot be copied"):
        copying.device.install(None, user_initiated=True)
    assert copying.device.status(None).staged == ""


def test_graft_points_in_each_other_are_refused_across_strategies(
    place: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = f"{CopyStrategy.__module__}:{CopyStrategy.__name__}"
    monkeypatch.setitem(strategy.STRATEGIES, "copy", location)
    grafts = {
        "engine": GraftRequest(place.graft),
        "other": GraftRequest(place.graft / "lib", strategy="copy"),
    }
    with pytest.raises(EnrolmentRefusedError, match="overlap"):
        place.device.enroll(vendor.product, place.server.url, vendor.root, grafts, BaselineFilter())


def test_an_unknown_strategy_in_an_enrolment_is_an_error() -> None:
    with pytest.raises(StoreDamagedError, match="There is no activation strategy 'teleport'"):
        strategy.strategy_type(GraftPoint("engine", "/srv/engine", strategy="teleport").strategy)


def test_every_strategy_in_the_table_can_be_imported_and_has_every_member() -> None:
    members = {name for name in vars(strategy.Strategy) if not name.startswith("_")}
    for name in strategy.STRATEGIES:
        found = strategy.strategy_type(name)
        assert not {member for member in members if not hasattr(found, member)}, name


def test_no_other_code_compares_names_of_strategies() -> None:
    source = Path(strategy.__file__).parents[2]
    own = {"sysext.py", "tree.py"}
    for file in source.rglob("*.py"):
        if file.name not in own:
            text = file.read_text()
            assert "strategy ==" not in text, file
            assert "strategy !=" not in text, file
