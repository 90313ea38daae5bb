"""A device in a rollout: when its turn comes, what overrides it, and how a stop reaches it."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from repoint.device.errors import NoNetworkError
from repoint.device.outcomes import Nothing
from repoint.model.rollout import POSITIONS, Rollout, position
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.publisher import Publisher
from repoint.publisher.rollout.control import Rollouts
from repoint.publisher.rollout.plan import parse_ramp
from tests.agent.test_update_run import Bench
from tests.cli.command import works
from tests.places import Place
from tests.serving import WebServer
from tests.world import FIXED, NAME, Vendor, no_passphrase

DAY = 86_400
A, B = Selection("acme-kiosk", "26.3.1 (a)"), Selection("acme-kiosk", "26.3.1 (b)")
STEPS = parse_ramp("1% 50% 100% over 2d", rings=("early",))
LATER = {**FIXED, "main.py": "VERSION = 'later'\n"}


@pytest.fixture
def bench(place: Place, tmp_path: Path) -> Bench:
    place.enroll()
    return Bench(place, tmp_path / "policy.d")


@pytest.fixture
def rollouts(vendor: Vendor, bench: Bench) -> Rollouts:
    vendor.clock = itertools.count(int(bench.now))
    publisher = Publisher(vendor.repository, passphrases=no_passphrase, clock=lambda: bench.now)
    vendor.release()
    return publisher.rollouts


def place_at(bench: Bench, rollout: Rollout | None, low: float, high: float = 1.0) -> None:
    """Give the device a secret with which its position lies between two shares."""
    assert rollout is not None
    for number in itertools.count():
        secret = number.to_bytes(32, "big")
        where = position(secret, "acme-kiosk", NAME, rollout.seed) / POSITIONS
        if low <= where < high:
            (bench.place.product.path / "rollout-secret").write_bytes(secret)
            return


def start(rollouts: Rollouts, bench: Bench, low: float, *, manual: bool = False) -> None:
    """Start a rollout of which this device is at a position above a share."""
    (offer,) = rollouts.start(A, STEPS, manual=manual, narrow=True)
    place_at(bench, offer.rollout, low)


@pytest.mark.slow
def test_a_device_installs_when_its_turn_has_come_and_says_before_when_that_is(
    bench: Bench, rollouts: Rollouts
) -> None:
    start(rollouts, bench, 0.5)
    began = int(bench.now)
    run = bench.run()
    assert (run.installed, run.errors) == ("", [])
    assert run.overview is not None
    step = run.overview.plan.install
    assert step is not None
    assert (step.reason, step.when) == ("rollout", began + 2 * DAY)
    bench.now = began + 2 * DAY - 1
    assert bench.run().installed == ""
    bench.now = began + 2 * DAY
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.slow
def test_a_device_of_the_first_share_installs_at_once(bench: Bench, rollouts: Rollouts) -> None:
    (offer,) = rollouts.start(A, STEPS, narrow=True)
    place_at(bench, offer.rollout, 0, 0.01)
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.slow
def test_a_person_need_not_wait(bench: Bench, rollouts: Rollouts) -> None:
    start(rollouts, bench, 0.5)
    bench.run()
    assert not isinstance(bench.device.install(None, user_initiated=True), Nothing)


@pytest.mark.slow
def test_a_deadline_of_the_policy_does_not_wait(bench: Bench, rollouts: Rollouts) -> None:
    start(rollouts, bench, 0.5, manual=True)
    bench.rules(deadline_days=1)
    assert bench.run().installed == ""
    bench.now += DAY + 60
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("enrolled", "policy", "installs"),
    [
        ("", None, False),
        ("early", None, True),
        ("late", None, False),
        ("", "early", True),
        ("late", "early", True),
        ("early", "late", False),
        ("early", "", False),
    ],
)
def test_a_ring_goes_first_and_the_policy_names_it_over_the_enrolment(
    bench: Bench, rollouts: Rollouts, enrolled: str, policy: str | None, installs: bool
) -> None:
    state = bench.place.product
    enrolment = state.documents.enrolment()
    state.documents.set_enrolment(msgspec.structs.replace(enrolment, ring=enrolled))
    if policy is not None:
        bench.rules(ring=policy)
    start(rollouts, bench, 0.5)
    assert bool(bench.run().installed) is installs


def test_a_manual_step_waits_for_the_vendor(bench: Bench, rollouts: Rollouts) -> None:
    start(rollouts, bench, 0.01, manual=True)
    bench.now += 100 * DAY
    run = bench.run()
    assert run.overview is not None
    step = run.overview.plan.install
    assert step is not None
    assert (run.installed, step.reason, step.when) == ("", "rollout", None)
    rollouts.promote(A)
    rollouts.promote(A)
    bench.now += DAY
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.slow
def test_the_highest_letter_whose_turn_has_come_is_installed(
    bench: Bench, rollouts: Rollouts, vendor: Vendor
) -> None:
    vendor.release({"engine": LATER}, letter="b")
    (offer,) = rollouts.start(B, STEPS, manual=True, narrow=True)
    place_at(bench, offer.rollout, 0.5)
    run = bench.run()
    assert (run.installed, run.errors) == ("26.3.1 (a)", [])
    assert bench.run().installed == ""
    assert bench.device.status(None).available is not None
    rollouts.finish(B)
    bench.now += DAY
    assert bench.run().installed == "26.3.1 (b)"


@pytest.mark.one_quick
@pytest.mark.parametrize("stop", ["pause", "halt"])
def test_a_stop_reaches_a_device_before_it_installs_and_a_resumption_as_well(
    bench: Bench, rollouts: Rollouts, stop: str
) -> None:
    (offer,) = rollouts.start(A, STEPS, narrow=True)
    place_at(bench, offer.rollout, 0, 0.01)
    getattr(rollouts, stop)(A, reason="It crashes")
    assert bench.run().installed == ""
    assert isinstance(bench.device.install(None, user_initiated=True), Nothing)
    rollouts.resume(A)
    bench.now += DAY
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.one_quick
@pytest.mark.parametrize("stop", ["pause", "halt"])
def test_a_stop_clears_what_is_staged_with_its_reason(
    bench: Bench, rollouts: Rollouts, stop: str, vendor: Vendor
) -> None:
    start(rollouts, bench, 0.5)
    bench.device.check(None)
    bench.device.install(None, user_initiated=True)
    assert bench.device.status(None).staged == "26.3.1 (a)"
    getattr(rollouts, stop)(A, reason="It crashes")
    bench.device.check(None)
    assert bench.device.status(None).staged == ""
    last = bench.device.history(None)[-1]
    assert (last.event, last.label) == ("unstaged", "26.3.1 (a)")
    assert "It crashes" in last.why


def test_a_stop_during_the_download_keeps_the_letter_from_being_staged(
    bench: Bench, rollouts: Rollouts, server: WebServer
) -> None:
    (offer,) = rollouts.start(A, STEPS, narrow=True)
    place_at(bench, offer.rollout, 0, 0.01)
    bench.device.check(None)

    def halt_meanwhile(path: str, data: bytes) -> bytes:
        if path.endswith(".patch"):
            server.alter = lambda path, data: data
            rollouts.halt(A, reason="It crashes")
        return data

    server.alter = halt_meanwhile
    result = bench.device.install(None, user_initiated=True)
    assert isinstance(result, Nothing)
    assert result.reason == "no longer offered"
    assert bench.device.status(None).staged == ""


def test_a_device_that_cannot_see_the_newest_documents_does_not_take_a_later_step(
    bench: Bench, rollouts: Rollouts, server: WebServer
) -> None:
    start(rollouts, bench, 0.5)
    bench.run()
    server.alter = lambda path, data: b""
    bench.now += 3 * DAY
    result = bench.device.install(None, user_initiated=False)
    assert isinstance(result, Nothing)
    assert result.reason == "not its turn"
    run = bench.run()
    assert run.installed == ""
    assert run.errors


def test_without_a_network_nothing_that_is_being_rolled_out_is_staged(
    bench: Bench, rollouts: Rollouts, server: WebServer
) -> None:
    start(rollouts, bench, 0.5)
    bench.device.check(None)

    def vanish(path: str, data: bytes) -> bytes:
        if path.endswith(".patch"):
            server.alter = refuse
        return data

    def refuse(path: str, data: bytes) -> bytes:
        raise ConnectionResetError

    server.alter = vanish
    with pytest.raises(NoNetworkError):
        bench.device.install(None, user_initiated=True)
    assert bench.device.status(None).staged == ""


@pytest.mark.slow
def test_the_secret_is_made_once_and_nobody_else_can_read_it(
    bench: Bench, rollouts: Rollouts
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    bench.run()
    file = bench.place.product.path / "rollout-secret"
    first = file.read_bytes()
    assert len(first) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    rollouts.promote(A)
    bench.now += DAY
    bench.run()
    assert file.read_bytes() == first


@pytest.mark.slow
def test_the_status_shows_when_the_turn_comes(bench: Bench, rollouts: Rollouts) -> None:
    start(rollouts, bench, 0.5)
    bench.run()
    output = works("status", "--store", bench.place.folder / "store")
    assert "when the turn of this device comes" in output
    assert "you can install it now" in output
