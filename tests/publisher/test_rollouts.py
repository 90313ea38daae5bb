"""A vendor's rollouts: what each command changes, and when it refuses."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from repoint.model.catalog import Offer
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.rollout import ALL, Rollout
from repoint.publisher.catalog.catalogs import Selection, read_catalog
from repoint.publisher.errors import RolloutStateError, UnknownImprovementError
from repoint.publisher.publisher import Publisher
from repoint.publisher.rollout.control import Rollouts, ShownRollout
from repoint.publisher.rollout.plan import parse_ramp
from tests.cli.command import works
from tests.world import Vendor, no_passphrase

DAY = 86_400
NOW = 1_800_000_000
STEPS = parse_ramp("1% 10% 100% over 2d", rings=("early",))
A = Selection("acme-kiosk", "26.3.1 (a)")


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rollouts(vendor: Vendor, clock: Clock) -> Rollouts:
    vendor.clock = itertools.count(NOW - 10 * DAY)
    vendor.release()
    return Publisher(vendor.repository, passphrases=no_passphrase, clock=clock).rollouts


def offer(vendor: Vendor) -> Offer:
    return read_catalog(vendor.repository, "acme-kiosk").offers[0]


def rollout(vendor: Vendor) -> Rollout:
    found = offer(vendor).rollout
    assert found is not None
    return found


def share(vendor: Vendor, clock: Clock) -> int:
    return rollout(vendor).share_at(clock.now)


def test_a_rollout_grows_with_time_and_each_has_a_new_seed(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    first = rollout(vendor).seed
    assert share(vendor, clock) == ALL // 100
    clock.now += DAY
    assert share(vendor, clock) == ALL // 10
    clock.now += DAY
    assert share(vendor, clock) == ALL
    rollouts.start(A, STEPS, narrow=True)
    assert rollout(vendor).seed != first


def test_a_pause_stops_the_clock_and_a_resumption_goes_on_where_it_stood(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    clock.now += DAY // 2
    rollouts.pause(A, reason="Reports of a black screen")
    assert (offer(vendor).state, offer(vendor).reason) == ("paused", "Reports of a black screen")
    clock.now += 30 * DAY
    rollouts.resume(A)
    assert (offer(vendor).state, offer(vendor).reason) == ("offered", "")
    assert share(vendor, clock) == ALL // 100
    clock.now += DAY // 2
    assert share(vendor, clock) == ALL // 10


def test_a_promotion_goes_to_the_next_step_and_the_rest_of_the_ramp_follows_from_there(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    clock.now += 100
    rollouts.promote(A)
    assert share(vendor, clock) == ALL // 10
    clock.now += DAY
    assert share(vendor, clock) == ALL
    with pytest.raises(RolloutStateError, match="at its last step"):
        rollouts.promote(A)


def test_a_rollout_began_when_it_began_whatever_moves_its_schedule(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    clock.now += 100
    rollouts.promote(A)
    assert rollout(vendor).beginning == NOW
    rollouts.pause(A)
    clock.now += DAY
    rollouts.resume(A)
    rollouts.promote(A)
    assert rollout(vendor).beginning == NOW
    rollouts.start(A, STEPS, narrow=True)
    assert rollout(vendor).beginning == clock.now


def test_a_manual_rollout_waits_for_every_promotion(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, manual=True, narrow=True)
    for expected in (ALL // 100, ALL // 10, ALL):
        clock.now += 100 * DAY
        assert share(vendor, clock) == expected
        if expected < ALL:
            rollouts.promote(A)


def test_a_finished_rollout_reaches_everybody(vendor: Vendor, rollouts: Rollouts) -> None:
    rollouts.start(A, STEPS, manual=True, narrow=True)
    rollouts.finish(A)
    assert offer(vendor).rollout is None


def test_a_halt_leaves_the_catalog_alone_and_a_resumption_ends_it(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    before = offer(vendor)
    clock.now += DAY // 4
    keys = vendor.repository.path / "keys"
    (keys / "acme-kiosk.catalog.pem").rename(keys / "elsewhere")
    rollouts.halt(A, reason="The guard counted 9 failures")
    (keys / "elsewhere").rename(keys / "acme-kiosk.catalog.pem")
    assert offer(vendor) == before
    halted = rollouts.halts("acme-kiosk").halted(before)
    assert halted is not None
    assert halted.reason == "The guard counted 9 failures"
    clock.now += 5 * DAY
    rollouts.resume(A)
    assert rollouts.halts("acme-kiosk").halted(offer(vendor)) is None
    assert share(vendor, clock) == ALL // 100
    clock.now += 3 * DAY // 4
    assert share(vendor, clock) == ALL // 10


@pytest.mark.one_quick
@pytest.mark.parametrize("back", [0, 1, 1000 * DAY])
def test_a_second_halt_counts_even_if_the_clock_was_set_back(
    vendor: Vendor, rollouts: Rollouts, clock: Clock, back: int
) -> None:
    rollouts.halt(A, reason="first")
    rollouts.resume(A)
    clock.now -= back
    rollouts.halt(A, reason="second")
    halted = rollouts.halts("acme-kiosk").halted(offer(vendor))
    assert halted is not None
    assert halted.reason == "second"
    rollouts.resume(A)
    assert rollouts.halts("acme-kiosk").halted(offer(vendor)) is None


@pytest.mark.parametrize(
    ("before", "then", "message"),
    [
        ([], "pause pause", "already paused"),
        ([], "resume", "no halt stops it"),
        ([], "promote", "No rollout of .* is under way"),
        ([], "finish", "No rollout of .* is under way"),
        (["start"], "start", "is under way"),
        (["start", "pause"], "promote", "it is paused"),
        (["start", "pause"], "finish", "it is paused"),
        (["start", "pause"], "start", "is paused"),
        (["halt"], "halt", "already halted.*: because"),
        (["halt"], "pause", "is halted for .*: because"),
        (["start", "halt"], "promote", "is halted for .*: because"),
        (["start", "halt"], "finish", "is halted for .*: because"),
        (["halt"], "start", "is halted for .*: because"),
        (["withdraw"], "start", "is withdrawn"),
        (["withdraw"], "pause", "already withdrawn"),
        (["withdraw"], "resume", "is withdrawn"),
        (["withdraw"], "halt", "already withdrawn"),
        (["halt", "withdraw"], "resume", "is withdrawn"),
    ],
)
def test_a_change_that_does_not_fit_the_state_is_refused_and_changes_nothing(
    vendor: Vendor, rollouts: Rollouts, before: list[str], then: str, message: str
) -> None:
    def do(command: str) -> None:
        match command:
            case "start":
                rollouts.start(A, STEPS, narrow=True)
            case "halt":
                rollouts.halt(A, reason="because")
            case "withdraw":
                vendor.withdraw("a")
            case _:
                getattr(rollouts, command)(A)

    *earlier, last = (*before, *then.split())
    for command in earlier:
        do(command)
    stamp = (vendor.public / "metadata/timestamp.json").read_bytes()
    with pytest.raises(RolloutStateError, match=message) as refused:
        do(last)
    assert refused.value.hint
    assert (vendor.public / "metadata/timestamp.json").read_bytes() == stamp


def test_what_all_devices_may_install_is_narrowed_only_on_request(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    with pytest.raises(RolloutStateError, match="offered to all devices") as refused:
        rollouts.start(A, STEPS)
    assert "--narrow" in refused.value.hint
    assert offer(vendor).rollout is None
    rollouts.start(A, STEPS, narrow=True)
    clock.now += 3 * DAY
    with pytest.raises(RolloutStateError, match="offered to all devices"):
        rollouts.start(A, STEPS)


@pytest.mark.parametrize("command", ["pause", "halt"])
@pytest.mark.parametrize(
    "reason", ["x" * 100_000, "two\nlines", "\u202egnp.exe", "\x1b[2J", "a\tb"]
)
def test_a_reason_that_devices_could_not_show_is_refused(
    vendor: Vendor, rollouts: Rollouts, command: str, reason: str
) -> None:
    with pytest.raises(InvalidRecordError, match="The reason"):
        getattr(rollouts, command)(A, reason=reason)
    assert offer(vendor).state == "offered"
    assert not rollouts.halts("acme-kiosk").letters


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection("acme-kiosk", "26.3.1 (b)"), r"no published improvement 26\.3\.1 \(b\)"),
        (Selection("acme-kiosk", "26.3.1 (a)", "linux-aarch64"), "for linux-aarch64"),
    ],
)
def test_what_was_never_published_has_no_rollout(
    rollouts: Rollouts, selection: Selection, message: str
) -> None:
    with pytest.raises(UnknownImprovementError, match=message):
        rollouts.start(selection, STEPS, narrow=True)


def test_the_timestamp_lives_a_day_only_while_a_rollout_is_under_way(
    vendor: Vendor, rollouts: Rollouts
) -> None:
    def days() -> int:
        summary = next(s for s in vendor.repository.roles() if s.role == "timestamp")
        with vendor.repository.publication(no_passphrase) as publication:
            publication.refresh()
        renewed = next(s for s in vendor.repository.roles() if s.role == "timestamp")
        assert renewed.version > summary.version
        return round((renewed.expires - summary.expires).total_seconds() / DAY)

    assert days() == 0
    rollouts.start(A, STEPS, manual=True, narrow=True)
    lifetimes = {s.role: s.expires for s in vendor.repository.roles()}
    rollouts.pause(A)
    longer = {s.role: s.expires for s in vendor.repository.roles()}
    assert round((longer["timestamp"] - lifetimes["timestamp"]).total_seconds() / DAY) == 6


def test_a_withdrawal_ends_the_short_lifetime_of_the_timestamp(
    vendor: Vendor, rollouts: Rollouts
) -> None:
    def expires() -> float:
        summary = next(s for s in vendor.repository.roles() if s.role == "timestamp")
        return summary.expires.timestamp()

    rollouts.start(A, STEPS, manual=True, narrow=True)
    under_way = expires()
    vendor.withdraw("a")
    assert round((expires() - under_way) / DAY) == 6


@pytest.mark.slow
def test_the_commands_start_show_and_stop_a_rollout(vendor: Vendor, tmp_path: Path) -> None:
    vendor.clock = itertools.count(NOW - 10 * DAY)
    vendor.release()
    environment = {"REPOINT_REPOSITORY": str(vendor.repository.path)}

    def repoint(*arguments: str) -> str:
        return works("rollout", *arguments, env=environment)

    label = "26.3.1 (a)"
    options = ("--ring", "early", "--manual", "--narrow")
    message = repoint("start", "acme-kiosk", label, *options)
    assert "the ring early and 0.01 % of all devices" in message
    assert "1 %" in repoint("promote", "acme-kiosk", label)
    assert "halted at" not in repoint("show", "acme-kiosk")
    repoint("halt", "acme-kiosk", label, "--reason", "It crashes")
    assert "halted at 1 %: It crashes" in repoint("show", "acme-kiosk")
    repoint("resume", "acme-kiosk", label)
    repoint("pause", "acme-kiosk", label, "--reason", "Lunch")
    assert "paused at 1 %: Lunch" in repoint("show", "acme-kiosk")
    repoint("resume", "acme-kiosk", label)
    assert "offered to all devices" in repoint("finish", "acme-kiosk", label)
    plan = tmp_path / "plan.toml"
    plan.write_text('[[step]]\nrings = ["lab"]\n[[step]]\nafter = "1d"\nshare = "100%"\n')
    message = repoint("start", "acme-kiosk", label, "--plan", str(plan), "--narrow")
    assert "offered to the ring lab, and to all devices from" in message
    began = "✓ the ring lab, since 20.*\n  "
    assert re.search(f"{began}· all devices, 20", repoint("show", "acme-kiosk"))
    repoint("promote", "acme-kiosk", label)
    assert re.search(f"{began}✓ all devices\n", repoint("show", "acme-kiosk"))
    repoint("halt", "acme-kiosk", label, "--reason", "It crashes")
    works("withdraw", "acme-kiosk", label, "--reason", "Replaced by (b)", env=environment)
    assert "withdrawn: Replaced by (b)" in repoint("show", "acme-kiosk")


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), None),
        (("--ring", "early"), "offered to the ring early and 0.01 % of all devices, and to"),
        (("--exploited",), "offered to 0.1 % of devices, and to 1 % of devices from"),
        (("--exploited", "--ramp", "100%"), "offered to all devices"),
        (("--ring", "early", "--manual"), "`repoint rollout promote` goes on to"),
    ],
)
def test_publish_says_which_devices_get_it(
    vendor: Vendor, options: tuple[str, ...], message: str | None
) -> None:
    vendor.improve()
    lines = works(
        "publish", vendor.product, *options, env={"REPOINT_REPOSITORY": str(vendor.repository.path)}
    ).splitlines()
    assert lines[0].startswith("Published 26.3.1 (a) for")
    assert ("offered to" not in lines[1]) if message is None else (message in lines[1])


def test_a_reason_that_would_mislead_is_refused(rollouts: Rollouts) -> None:
    for reason in ("", " ", "x" * 1001, "a\x1b[2J", "a\u202eb"):
        with pytest.raises(RepointError):
            rollouts.halt(A, reason=reason)


def test_a_change_is_made_only_in_the_state_that_its_condition_accepts(
    vendor: Vendor, rollouts: Rollouts, clock: Clock
) -> None:
    rollouts.start(A, STEPS, narrow=True)
    seen = rollouts.show("acme-kiosk")

    class ChangedError(RepointError):
        pass

    def unchanged(now: list[ShownRollout]) -> None:
        if now != seen:
            raise ChangedError("Somebody else changed it")

    careful = Rollouts(vendor.repository, no_passphrase, lambda: clock.now, unchanged)
    rollouts.promote(A)
    for change in (careful.promote, careful.pause):
        with pytest.raises(ChangedError):
            change(A)
    with pytest.raises(ChangedError):
        careful.halt(A, reason="It fails")
    assert share(vendor, clock) == ALL // 10
    seen = rollouts.show("acme-kiosk")
    careful.pause(A)
    assert offer(vendor).state == "paused"
