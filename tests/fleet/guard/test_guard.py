"""The guard with a real repository and a real store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.fleet.guard.announcements import REPEAT, Announcement
from repoint.fleet.guard.errors import NotificationError, SecondGuardError
from repoint.fleet.guard.guard import only_guard
from repoint.fleet.records import FleetState
from repoint.fleet.stores.opening import open_state
from repoint.model.baseline import BaselineName
from repoint.model.report import TRANSIENT, Report
from repoint.publisher.catalog.catalogs import Selection
from repoint.repository.files import exclusive_work
from tests.fleet.guard.scene import DAY, HOUR, PRODUCT, A, Scene, confirmed, failed, late, silent
from tests.fleet.reports import event, new_id
from tests.world import FIXED, NAME, OLD, Vendor

ARM = BaselineName("linux-aarch64", "26.3.1", "25D2128")


@pytest.fixture
def scene(tmp_path: Path, vendor: Vendor) -> Iterator[Scene]:
    made = Scene(tmp_path, vendor)
    yield made
    made.state.close()


CASES: dict[str, tuple[Callable[[], list[Report]], str]] = {
    "nothing is reported": (list, ""),
    "all is well": (lambda: confirmed(300), ""),
    "it fails on one device in three hundred": (lambda: confirmed(298) + failed(1), ""),
    "it fails everywhere": (lambda: failed(8), "It failed on 8 of 8 linux-x86_64 devices, mostly because the health check failed"),
    "it fails on one device in twenty": (lambda: confirmed(190) + failed(10, "decode"), "It failed on 10 of 200 linux-x86_64 devices, mostly because a patch could not be decoded"),
    "it fails in the ring that goes first": (lambda: confirmed(500) + confirmed(70, ring="early") + failed(8, "start", ring="early"), "It failed on 8 of 78 linux-x86_64 devices in the ring early, mostly because the machine did not start to the end"),
    "it fails for reasons that pass": (lambda: [r for kind in TRANSIENT for r in failed(100, kind)], ""),
    "it fails for reasons that nobody knows": (lambda: failed(9, "other"), "It failed on 9 of 9 linux-x86_64 devices"),
    "another letter fails": (lambda: failed(50, letter="b"), ""),
    "it fails on a platform that is not offered it": (lambda: failed(50, baseline=ARM), ""),
    "another product fails": (lambda: [event("failed", new_id(), failure="health", product="other") for _ in range(50)], ""),
    "no device is heard of again": (lambda: silent(40), "40 of 40 linux-x86_64 devices reported nothing more after staging it"),
    "devices have not restarted yet": (lambda: silent(400, age=HOUR), ""),
    "few fail and the others have only staged it": (lambda: silent(300, age=60) + failed(3), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_the_guard_does_if(scene: Scene, case: str) -> None:
    reports, reason = CASES[case]
    scene.steady_flow()
    scene.report(reports())
    seen = scene.look()
    assert [halt.reason for halt in scene.halts().letters] == ([reason] if reason else [])
    assert [message.event for message in scene.announced] == (["halted"] if reason else [])
    assert [each.by for each in scene.halts().letters] == (["guard"] if reason else [])
    assert not seen.is_troubled
    if reason:
        assert reason in scene.announced[0].text
        assert scene.look().decisions == {PRODUCT: []}
        assert len(scene.announced) == 1


def test_counts_begin_again_with_the_last_resumption(scene: Scene) -> None:
    scene.report(failed(8))
    scene.look()
    scene.now += 600
    scene.rollouts.resume(A)
    scene.now += 600
    scene.look()
    assert scene.halted() == []
    scene.report(failed(8))
    scene.look()
    assert scene.halted() == [NAME]


def test_one_platform_is_halted_and_another_goes_on(scene: Scene) -> None:
    scene.vendor.baseline({"engine": OLD}, name=ARM)
    scene.vendor.release({"engine": FIXED}, name=ARM)
    scene.report(confirmed(300), failed(10, baseline=ARM))
    scene.look()
    assert scene.halted() == [ARM]


def test_of_two_builds_of_a_version_only_the_one_that_fails_is_halted(scene: Scene) -> None:
    other = BaselineName(NAME.platform, NAME.version, "25D2129")
    scene.vendor.baseline({"engine": OLD}, name=other)
    scene.vendor.release({"engine": FIXED}, name=other)
    scene.report(confirmed(300), failed(10, baseline=other))
    scene.look()
    assert scene.halted() == [other]


def test_silence_after_an_outage_of_the_collector_halts_nothing(scene: Scene) -> None:
    scene.now -= 2 * DAY
    scene.steady_flow()
    scene.now += 2 * DAY
    scene.report(silent(400))
    scene.look()
    assert scene.halted() == []


def test_a_letter_that_only_waits_as_the_one_before_it_is_not_silent(scene: Scene) -> None:
    scene.vendor.release(None, "CVE-2026-0002")
    scene.steady_flow()
    scene.report(confirmed(300, age=2 * DAY), late(200))
    scene.report(confirmed(60, "b", age=2 * DAY), silent(40, "b"))
    scene.look()
    assert scene.halted() == []
    scene.report(silent(900, "b"))
    scene.look()
    assert [letter.letter for letter in scene.halts().letters] == ["b"]


class TestExploited:
    """A letter whose fixes are exploited."""

    @pytest.fixture(autouse=True)
    def _exploited(self, scene: Scene) -> None:
        scene.vendor.improve(None, "CVE-2026-0002")
        scene.vendor.publisher.publish(PRODUCT, urgency="exploited")
        scene.report(failed(10, letter="b"))

    def test_a_person_is_alerted_and_decides(self, scene: Scene) -> None:
        guard = scene.guard()
        for _ in range(3):
            guard.look()
        assert scene.halted() == []
        (message,) = scene.announced
        assert message.event == "decide"
        assert (
            'repoint rollout halt acme-kiosk "26.3.1 (b)" --platform linux-x86_64' in message.hint
        )

    def test_the_alert_comes_again_while_nobody_decides(self, scene: Scene) -> None:
        guard = scene.guard()
        guard.look()
        scene.now += REPEAT
        guard.look()
        assert [message.event for message in scene.announced] == ["decide", "decide"]

    def test_it_is_halted_if_the_operator_has_said_so(self, scene: Scene) -> None:
        scene.guard(halts_exploited=True).look()
        assert [letter.letter for letter in scene.halts().letters] == ["b"]


class TestTrouble:
    """What the guard cannot do, it says and tries again; nothing changes by accident."""

    def test_a_database_that_is_away_halts_nothing(self, scene: Scene, tmp_path: Path) -> None:
        folder = tmp_path / "no-database"
        folder.mkdir()

        def opened() -> FleetState:
            return open_state(f"sqlite:///{folder}")

        guard = scene.guard(opened)
        for _ in range(3):
            assert guard.look().is_troubled
        assert scene.halted() == []
        (message,) = scene.announced
        assert message.text.startswith("acme-kiosk is not guarded: ")
        assert "cannot be used as a database" in message.text

    def test_it_goes_on_when_the_database_is_back(self, scene: Scene) -> None:
        scene.report(failed(8))
        path = Path(str(scene.state._engine.url.database))
        scene.state.close()
        away = path.rename(path.with_name("away.db"))
        path.mkdir()
        guard = scene.guard(lambda: open_state(f"sqlite:///{path}", clock=lambda: scene.now))
        assert guard.look().is_troubled
        path.rmdir()
        away.rename(path)
        assert not guard.look().is_troubled
        assert scene.halted() == [NAME]

    def test_a_repository_that_is_busy_is_halted_in_the_next_round(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("repoint.repository.files._SECONDS_TO_WAIT", 0.1)
        scene.report(failed(8))
        guard = scene.guard()
        with exclusive_work(scene.vendor.repository.path / "lock", "publishing"):
            assert guard.look().is_troubled
        assert [message.event for message in scene.announced] == ["trouble", "trouble"]
        assert "could not be halted" in scene.announced[-1].text
        assert scene.halted() == []
        assert not guard.look().is_troubled
        assert scene.halted() == [NAME]
        assert [message.event for message in scene.announced[2:]] == ["halted", "recovered"]

    def test_a_missing_key_is_told_before_it_is_needed(self, scene: Scene) -> None:
        key = next((scene.vendor.repository.path / "keys").glob("acme-kiosk.halt*"))
        away = key.rename(key.with_name("away"))
        guard = scene.guard()
        assert guard.look().is_troubled
        assert scene.announced[0].text.startswith("acme-kiosk could not be halted: ")
        scene.report(failed(8))
        guard.look()
        assert scene.halted() == []
        away.rename(key)
        guard.look()
        assert scene.halted() == [NAME]

    def test_a_clock_that_is_slow_halts_nothing(self, scene: Scene) -> None:
        scene.report(failed(8))
        scene.now -= 3 * DAY
        assert scene.look().is_troubled
        assert scene.halted() == []
        assert "The clock of this machine is behind" in scene.announced[0].text

    def test_a_clock_that_is_fast_makes_no_device_silent(self, scene: Scene) -> None:
        scene.steady_flow()
        scene.report(silent(400, age=HOUR))
        scene.now += 3 * DAY
        assert not scene.look().is_troubled
        assert scene.halted() == []

    def test_a_resumption_during_the_judgement_wins(self, scene: Scene) -> None:
        scene.report(failed(8))

        class Slow:
            """A store whose answers come while a person pauses the rollout and resumes it."""

            def __getattr__(self, name: str) -> object:
                if name == "outcomes":
                    with contextlib.suppress(Exception):
                        scene.now += 600
                        scene.rollouts.pause(A, reason="I look at it")
                return getattr(scene.state, name)

        guard = scene.guard(lambda: Slow())  # type: ignore[arg-type, return-value]
        assert not guard.look().is_troubled
        assert scene.halted() == []
        assert scene.announced == []

    def test_a_message_that_reached_nobody_is_sent_again_and_only_there(self, scene: Scene) -> None:
        scene.report(failed(8))
        delivered: list[Announcement] = []
        works = False

        def unreliable(message: Announcement) -> None:
            if not works:
                raise NotificationError("The webhook does not answer")
            delivered.append(message)

        guard = scene.guard(None, unreliable)
        assert guard.look().is_troubled
        works = True
        assert not guard.look().is_troubled
        assert [message.event for message in delivered] == ["halted"]
        assert [message.event for message in scene.announced] == ["halted"]


def test_only_one_guard_watches_a_repository(scene: Scene) -> None:
    repository = scene.vendor.repository
    second = only_guard(repository)
    with only_guard(repository), pytest.raises(SecondGuardError, match=r"watches .*: process \d"):
        second.__enter__()
    with only_guard(repository):
        pass


def test_a_halt_by_a_person_is_left_as_it_is(scene: Scene) -> None:
    scene.rollouts.halt(Selection(PRODUCT, "26.3.1 (a)"), reason="I have seen it crash")
    scene.report(failed(50))
    scene.look()
    assert [halt.reason for halt in scene.halts().letters] == ["I have seen it crash"]
