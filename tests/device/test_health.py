from __future__ import annotations

import pytest

from repoint.device.errors import HealthCheckError
from tests.device.conftest import Place
from tests.places import reason_of
from tests.world import FIXED, NAME, OLD, Vendor

CHECK = ("{python}", "-c", "import sys; sys.exit('bad' in open('{tree}/main.py').read())")


@pytest.fixture
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    made.baseline(health=CHECK)
    return made


@pytest.mark.slow
def test_a_failed_health_check_brings_back_what_ran_before(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    place.update()
    vendor.release({"engine": {**FIXED, "main.py": "bad\n"}}, "CVE-2023-0002")
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    with pytest.raises(HealthCheckError, match=r"26\.3\.1 \(a\) is active again"):
        place.device.restart(None)
    assert place.text() == FIXED["main.py"]
    status = place.device.status(None)
    assert (status.in_force, status.staged) == ("26.3.1 (a)", "")
    assert status.available is not None
    assert "failed here: engine: the health check ended" in status.available.held_back
    assert [e.event for e in place.device.history(None)][-2:] == ["activated", "failed"]


@pytest.mark.slow
def test_a_failed_letter_is_never_installed_again_but_a_later_one_is(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release({"engine": {**OLD, "main.py": "bad\n"}}, "CVE-2023-0001")
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    with pytest.raises(HealthCheckError):
        place.device.restart(None)
    place.device.check(None)
    assert reason_of(place.device.install(None, user_initiated=True)) == "failed here"
    vendor.release(None, "CVE-2023-0002")
    place.update()
    assert place.device.status(None).in_force == "26.3.1 (b)"


def test_a_power_loss_before_the_health_check_is_made_up_for_by_the_next_start(
    place: Place, vendor: Vendor
) -> None:
    from repoint.device.activate.activation import switch

    place.enroll()
    vendor.release({"engine": {**OLD, "main.py": "bad\n"}})
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    staged, active = place.product.links.staged(), place.product.links.active()
    assert staged is not None
    assert active is not None
    switch(place.product, place.device.host, staged, active)  # and here the power fails
    assert place.text() == "bad\n"
    place.device.check(None)
    assert place.text() == OLD["main.py"]
    mark = place.product.marks.get(staged)
    assert mark is not None
    assert mark.kind == "failed"


def test_a_health_check_that_cannot_be_started_counts_as_failed(
    place: Place, vendor: Vendor
) -> None:
    from repoint.model.baseline import BaselineName

    other = BaselineName("linux-x86_64", "26.4", "26A1")
    vendor.baseline(name=other, health=("/no/such/program",))
    place.enroll(version=other.version)
    vendor.release(name=other)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    with pytest.raises(HealthCheckError, match="cannot be started"):
        place.device.restart(None)
    assert place.text() == OLD["main.py"]
    assert other != NAME
