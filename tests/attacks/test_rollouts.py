"""What thieves and mirrors can do to a rollout: withhold at worst, never offer and never hasten."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import time
from collections.abc import Callable

import msgspec
import pytest

from repoint.device.device import Device
from repoint.device.errors import NotTrustedError, StaleRepositoryError
from repoint.device.fetch.network import Network
from repoint.device.outcomes import Nothing
from repoint.device.update.install import Staged
from repoint.device.update.still_offered import unstage_if_stopped
from repoint.model.encoding import encode_record
from repoint.model.errors import RepointError
from repoint.model.halt import Halt, HaltedLetter
from repoint.model.rollout import LAST_MOMENT, POSITIONS, position
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.publisher import Publisher
from repoint.publisher.rollout.control import Rollouts
from repoint.publisher.rollout.plan import parse_ramp
from repoint.repository import names
from tests.attacks.mirror import Mirror
from tests.clock import set_clock
from tests.places import Place
from tests.world import NAME, Vendor, no_passphrase

Take = Callable[..., Mirror]
A = Selection("acme-kiosk", "26.3.1 (a)")
STEPS = parse_ramp("1% 100% over 2d")
GUARD = ("timestamp", "snapshot", "acme-kiosk.halt")
HALT = names.halt_path("acme-kiosk")


@pytest.fixture
def rollouts(place: Place, vendor: Vendor) -> Rollouts:
    """An enrolled device whose turn comes with the last step of a rollout that has begun."""
    place.enroll()
    made = Publisher(vendor.repository, passphrases=no_passphrase).rollouts
    (offer,) = made.start(A, STEPS, narrow=True)
    assert offer.rollout is not None
    for number in itertools.count():
        secret = number.to_bytes(32, "big")
        if position(secret, "acme-kiosk", NAME, offer.rollout.seed) > POSITIONS // 2:
            (place.product.path / "rollout-secret").write_bytes(secret)
            break
    return made


def reason(result: object) -> str:
    assert isinstance(result, Nothing)
    return result.reason


def halted(letter: str = "a", since: int | None = None) -> bytes:
    since = int(time.time()) if since is None else since
    letters = (HaltedLetter(NAME, letter, since, "Because I can"),)
    return encode_record(Halt("1.0", "acme-kiosk", letters))


def test_the_thief_of_the_guards_keys_can_withhold_and_nothing_else(
    place: Place, rollouts: Rollouts, take_over: Take
) -> None:
    mirror = take_over(*GUARD)
    mirror.put("acme-kiosk.halt", {HALT: halted()})
    mirror.lead_to("acme-kiosk.halt")
    assert place.device.check(None).offer is None
    assert reason(place.device.install(None, user_initiated=True)) == "up to date"


@pytest.mark.one_quick
@pytest.mark.parametrize("role", ["acme-kiosk.catalog", "acme-kiosk"])
def test_the_thief_of_the_guards_keys_cannot_change_the_schedule(
    place: Place, rollouts: Rollouts, take_over: Take, role: str
) -> None:
    mirror = take_over(*GUARD)
    catalog = mirror.catalog()
    sooner = tuple(msgspec.structs.replace(o, rollout=None) for o in catalog.offers)
    path = names.catalog_path("acme-kiosk")
    mirror.put(role, {path: encode_record(msgspec.structs.replace(catalog, offers=sooner))})
    mirror.lead_to(role)
    with pytest.raises(NotTrustedError):
        place.device.check(None)


def test_the_role_of_halts_cannot_sign_a_catalog_or_a_patch(
    place: Place, rollouts: Rollouts, take_over: Take
) -> None:
    mirror = take_over(*GUARD)
    catalog = mirror.catalog()
    sooner = tuple(msgspec.structs.replace(o, rollout=None) for o in catalog.offers)
    path = names.catalog_path("acme-kiosk")
    document = encode_record(msgspec.structs.replace(catalog, offers=sooner))
    mirror.put("acme-kiosk.halt", {path: document})
    mirror.lead_to("acme-kiosk.halt")
    place.device.check(None)
    assert reason(place.device.install(None, user_initiated=False)) == "not its turn"


def test_the_vendor_overrides_a_halt_from_the_far_future(
    place: Place, vendor: Vendor, rollouts: Rollouts
) -> None:
    with vendor.repository.publication(no_passphrase) as publication:
        publication.put_halt("acme-kiosk", halted(since=LAST_MOMENT))
    assert place.device.check(None).offer is None
    rollouts.resume(A)
    assert place.device.check(None).offer is not None


@pytest.mark.one_quick
@pytest.mark.parametrize("left", [(), ("z",)], ids=["no halts", "another letter's"])
def test_the_thief_of_the_guards_keys_cannot_lift_a_halt(
    place: Place, rollouts: Rollouts, take_over: Take, left: tuple[str, ...]
) -> None:
    rollouts.halt(A, reason="It crashes")
    assert place.device.check(None).offer is None
    mirror = take_over(*GUARD)
    letters = tuple(HaltedLetter(NAME, each, 1, "Because I can") for each in left)
    mirror.put("acme-kiosk.halt", {HALT: encode_record(Halt("1.0", "acme-kiosk", letters))})
    mirror.lead_to("acme-kiosk.halt")
    assert place.device.check(None).offer is None
    assert "It crashes" in place.device.check(None).nothing.message  # type: ignore[union-attr]


@pytest.mark.slow
def test_the_vendor_lifts_a_halt_from_the_far_future_that_is_no_longer_published(
    place: Place, vendor: Vendor, rollouts: Rollouts
) -> None:
    for document in (halted(since=LAST_MOMENT), halted()):
        with vendor.repository.publication(no_passphrase) as publication:
            publication.put_halt("acme-kiosk", document)
        assert place.device.check(None).offer is None
    rollouts.resume(A)
    assert place.device.check(None).offer is not None
    assert place.product.documents.halts() == ()


@pytest.mark.slow
def test_a_mirror_frozen_before_a_halt_is_refused_after_a_day(
    place: Place, rollouts: Rollouts, take_over: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over()
    place.device.check(None)
    rollouts.halt(A, reason="It crashes")
    set_clock(monkeypatch, dt.timedelta(hours=25))
    with pytest.raises(StaleRepositoryError):
        place.device.check(None)
    # Its turn has come by the schedule, but not by a catalog that was current then.
    assert reason(place.device.install(None, user_initiated=False)) == "not its turn"


def test_a_frozen_mirror_cannot_give_a_step_to_a_device_that_has_not_seen_it(
    place: Place, rollouts: Rollouts, take_over: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.device.check(None)
    two_days = time.time() + 2 * 86_400 + 60
    device = place.device
    monkeypatch.setattr(device, "_clock", lambda: two_days)
    assert reason(device.install(None, user_initiated=False)) == "not its turn"


def later(place: Place, monkeypatch: pytest.MonkeyPatch, **by: float) -> Device:
    """The device some time later."""
    set_clock(monkeypatch, dt.timedelta(**by))
    device = place.device
    moment = time.time() + dt.timedelta(**by).total_seconds()
    monkeypatch.setattr(device, "_clock", lambda: moment)
    return device


def stage(place: Place) -> None:
    place.device.check(None)
    assert isinstance(place.device.install(None, user_initiated=True), Staged)


ACTIVATIONS: list[Callable[[Device], object]] = [
    lambda device: device.restart(None),
    lambda device: device.activate(None),
    lambda device: device.boot.merge(),
    lambda device: device.launch(["true"], {}),
]


@pytest.mark.one_quick
@pytest.mark.parametrize("activate", ACTIVATIONS)
def test_what_was_halted_after_it_was_staged_is_not_activated(
    place: Place,
    rollouts: Rollouts,
    monkeypatch: pytest.MonkeyPatch,
    activate: Callable[[Device], object],
) -> None:
    stage(place)
    rollouts.halt(A, reason="It crashes")
    activate(later(place, monkeypatch, minutes=2))
    assert "new" not in place.text()
    assert place.device.status(None).staged == ""
    last = place.device.history(None)[-1]
    assert (last.event, last.by) == ("unstaged", "automatic")
    assert "It crashes" in last.why
    # What the look has learned is kept: the letter is not staged anew before the next check.
    assert reason(place.device.install(None, user_initiated=True)) == "up to date"


@pytest.mark.one_quick
@pytest.mark.parametrize("activate", ACTIVATIONS)
def test_a_mirror_frozen_before_a_halt_cannot_activate_what_is_staged_after_a_day(
    place: Place,
    rollouts: Rollouts,
    take_over: Take,
    monkeypatch: pytest.MonkeyPatch,
    activate: Callable[[Device], object],
) -> None:
    stage(place)
    take_over()
    rollouts.halt(A, reason="It crashes")
    with contextlib.suppress(StaleRepositoryError):
        activate(later(place, monkeypatch, hours=25))
    assert "new" not in place.text()
    assert place.device.status(None).staged == "26.3.1 (a)"


@pytest.mark.slow
def test_a_restart_says_that_a_frozen_mirror_holds_it_back(
    place: Place, rollouts: Rollouts, take_over: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(place)
    take_over()
    with pytest.raises(StaleRepositoryError, match="whether the vendor has halted it") as refused:
        later(place, monkeypatch, hours=25).restart(None)
    assert refused.value.hint


@pytest.mark.one_quick
@pytest.mark.parametrize("days", [1.1, 400])
def test_a_network_that_is_gone_or_frozen_holds_off_nothing_that_all_devices_get(
    place: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    place.enroll()
    stage(place)
    place.server.folder = place.server.folder / "nothing"
    later(place, monkeypatch, days=days).restart(None)
    assert "new" in place.text()


@pytest.mark.slow
def test_a_network_that_is_gone_for_an_hour_holds_off_no_step_that_was_taken(
    place: Place, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(place)
    place.server.folder = place.server.folder / "nothing"
    later(place, monkeypatch, hours=1).restart(None)
    assert "new" in place.text()


def test_a_server_that_never_answers_holds_an_activation_up_for_a_bounded_time(
    place: Place, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(place)
    place.server.stall_after += [0] * 20
    began = time.monotonic()
    found = unstage_if_stopped(
        place.product, lambda _: Network(), now=int(time.time()) + 120, seconds=0.3
    )
    assert found is None
    assert time.monotonic() - began < 1
    assert not list(place.product.path.glob(".new-*"))
    place.server.go_on.set()


def test_a_clock_that_is_set_back_delays_a_turn_and_never_hastens_it(
    place: Place, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.device.check(None)
    for days in (-1, -400):
        device = place.device
        monkeypatch.setattr(device, "_clock", lambda days=days: time.time() + days * 86_400)
        device.check(None)
        assert reason(device.install(None, user_initiated=False)) == "not its turn"


def test_an_old_halt_document_cannot_come_back(
    place: Place, vendor: Vendor, rollouts: Rollouts, take_over: Take
) -> None:
    rollouts.halt(A, reason="It crashes")
    rollouts.resume(A)
    place.device.check(None)
    mirror = take_over(*GUARD)
    mirror.put("acme-kiosk.halt", {HALT: encode_record(Halt("1.0", "acme-kiosk"))})
    mirror.lead_to("acme-kiosk.halt", versions={"acme-kiosk.halt": 1})
    with pytest.raises((NotTrustedError, StaleRepositoryError)):
        place.device.check(None)


@pytest.mark.one_quick
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"format": "1.0", "product": "another"}',
        b'{"format": "2.0", "product": "acme-kiosk"}',
        b'{"format": "1.0", "product": "acme-kiosk", "letters": [{}]}',
        b'{"format": "1.0", "product": "acme-kiosk", "letters": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_a_malformed_halt_is_an_error_and_not_the_absence_of_a_halt(
    place: Place, vendor: Vendor, rollouts: Rollouts, document: bytes
) -> None:
    with vendor.repository.publication(no_passphrase) as publication:
        publication.put_halt("acme-kiosk", document)
    with pytest.raises(RepointError, match=r"halt\.json|another"):
        place.device.check(None)
