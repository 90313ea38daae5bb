"""What reopens a fix that is in force here: never automatically, and only if a person says so."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from repoint.agent.overview.overview import read_overview
from repoint.agent.update_run import Agent
from repoint.device.outcomes import Nothing
from repoint.host.conditions import Conditions
from tests.cli.command import refusal, repoint, works
from tests.places import Place
from tests.world import FIXED, Vendor, advisory

X, Y, Z = "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000"


@pytest.fixture
def withdrawn(place: Place, vendor: Vendor) -> Place:
    """A device on (b), which is withdrawn; (c) is offered and lacks what (b) fixed."""
    vendor.release({"engine": {**FIXED, "a": "a"}}, X)
    vendor.release({"engine": {**FIXED, "b": "b"}}, Y)
    place.enroll()
    place.update()
    vendor.withdraw("b")
    vendor.release({"engine": {**FIXED, "c": "c"}}, Z, drop=(Y,))
    return place


def agent(place: Place) -> Agent:
    return Agent(place.device, time.time, random.Random(4), lambda store: Conditions())


def test_a_background_update_does_not_install_it(withdrawn: Place) -> None:
    (run,) = agent(withdrawn).run()
    assert (run.installed, run.errors) == ("", [])
    assert withdrawn.device.status(None).in_force == "26.3.1 (b)"
    overview = read_overview(withdrawn.device)
    assert overview.plan.install is not None
    assert (overview.plan.install.when, overview.plan.install.reason) == (None, "reopens")
    available = overview.improvements.available
    assert available is not None and available.held_back == "reopens"
    assert [str(fix) for fix in available.reopens] == [f"{Y} in engine"]


@pytest.mark.slow
def test_not_even_at_the_deadline_or_if_the_fixes_are_exploited(
    withdrawn: Place, tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "fleet.toml").write_text("deadline_days = 0\n")
    withdrawn.device.check(None)
    result = withdrawn.device.install(None, user_initiated=False)
    assert isinstance(result, Nothing) and result.reason == "reopens fixes"
    answer = works("agent", "run-once", "--store", withdrawn.folder / "store",
                   env={"REPOINT_POLICY": str(policy)})  # fmt: skip
    assert "26.3.1 (c)" not in withdrawn.device.status(None).staged, answer


@pytest.mark.slow
def test_a_person_who_does_not_name_the_fix_is_refused_with_the_list(withdrawn: Place) -> None:
    store = withdrawn.folder / "store"
    works("check", "--store", store)
    for more in ((), ("--yes",), ("--json",), ("--drop-fix", X)):
        refusal(
            repoint("install", "--store", store, *more),
            "26.3.1 (c) does not contain a fix of 26.3.1 (b), which is in force here",
            f"{Y} in engine",
            f"repoint install --drop-fix {Y}",
        )
    assert withdrawn.device.status(None).staged == ""


@pytest.mark.slow
def test_a_person_who_names_the_fix_gets_it(withdrawn: Place) -> None:
    store = withdrawn.folder / "store"
    works("check", "--store", store)
    assert "Staged 26.3.1 (c)" in works("install", "--drop-fix", Y, "--store", store)


@pytest.mark.slow
def test_check_and_status_say_so(withdrawn: Place) -> None:
    store = withdrawn.folder / "store"
    output = works("check", "--store", store)
    assert f"fixes that are in force here, so it is not installed automatically: {Y}" in output
    output = works("status", "--store", store)
    assert f"lacks    ! {Y} in engine, fixed here by (b)" in output
    status = json.loads(works("status", "--json", "--store", store))
    assert [fix["name"] for fix in status["available"]["reopens"]] == [Y]


@pytest.mark.slow
def test_a_device_that_never_had_the_withdrawn_letter_installs_the_next(
    place: Place, vendor: Vendor
) -> None:
    vendor.release({"engine": {**FIXED, "a": "a"}}, X)
    place.enroll()
    place.update()
    vendor.release({"engine": {**FIXED, "b": "b"}}, Y)
    vendor.withdraw("b")
    vendor.release({"engine": {**FIXED, "c": "c"}}, Z, drop=(Y,))
    (run,) = agent(place).run()
    assert run.installed == "26.3.1 (c)"


def test_a_corrected_cve_id_reopens_nothing(place: Place, vendor: Vendor) -> None:
    from repoint.publisher.catalog.claims import Corrections

    vendor.release({"engine": {**FIXED, "a": "a"}}, X)
    place.enroll()
    place.update()
    source = vendor.source({**FIXED, "b": "b"})
    vendor.improve_from({"engine": source}, advisory(Z), corrections=Corrections((), {X: Y}))
    (improvement,) = vendor.publish()
    assert [a.advisory.cves() for a in improvement.advisories] == [(Y,), (Z,)]
    (run,) = agent(place).run()
    assert run.installed == "26.3.1 (b)"
