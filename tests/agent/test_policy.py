"""Policy: which file decides what, and what becomes of malformed ones."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from repoint.device.device import Device
from repoint.device.errors import PolicyForbidsError
from repoint.device.policy.maintenance_window import Window, WindowError, next_opening
from repoint.device.policy.policy import Policy, Rules, keep_policy, read_policy
from repoint.device.policy.preferences import effective_settings
from repoint.device.store.records import UserSettings
from tests.places import Place
from tests.world import Vendor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policy.d"
    made.mkdir()
    return made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "store"
    made.mkdir()
    return made


def test_without_files_everything_is_the_persons(store: Path, folder: Path) -> None:
    assert read_policy(store, folder) == Policy()
    assert read_policy(store, folder / "missing") == Policy()


def test_later_files_win_and_each_value_names_its_file(store: Path, folder: Path) -> None:
    (folder / "10-base.toml").write_text("automatic = true\nremoval = false\ndefer_days = 3\n")
    (folder / "50-site.toml").write_text('automatic = false\nwindow = "02:00-05:00"\n')
    (folder / "notes.txt").write_text("not valid TOML [")
    policy = read_policy(store, folder)
    assert policy.rules == Rules(automatic=False, removal=False, defer_days=3, window="02:00-05:00")
    assert policy.sources == {
        "automatic": str(folder / "50-site.toml"),
        "removal": str(folder / "10-base.toml"),
        "defer_days": str(folder / "10-base.toml"),
        "window": str(folder / "50-site.toml"),
    }
    decided = effective_settings(UserSettings(automatic=True), policy)
    assert (decided.automatic, decided.removal) == (False, False)
    assert decided.automatic_locked_by == str(folder / "50-site.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"automatic = ", "not valid TOML"),
        (b"automatic = 1", "`automatic`"),
        (b"automatc = true", "automatc"),
        (b"defer_days = -1", "`defer_days`"),
        (b"deadline_days = 1.5", "`deadline_days`"),
        (b"bandwidth = 0", "`bandwidth`"),
        (b'window = "2-5"', "not a maintenance window"),
        (b'window = "funday 02:00-05:00"', "not a maintenance window"),
        (b'window = ["02:00-02:00"]', "not a valid span of a day"),
        (b'repositories = ["updates.example.org"]', "not an http or https URL"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = " + b"[" * 5000, "not valid TOML"),
        (b"#" * (2 << 20), "larger than"),
    ],
)
def test_a_malformed_file_is_refused_whole_and_the_last_good_policy_stays(
    store: Path, folder: Path, text: bytes, said: str
) -> None:
    (folder / "10-base.toml").write_text("removal = false\n")
    good = read_policy(store, folder)
    keep_policy(store, good)
    (folder / "10-base.toml").write_text("removal = true\n")
    (folder / "20-broken.toml").write_bytes(text)
    policy = read_policy(store, folder)
    assert policy.rules == good.rules
    assert policy.sources == good.sources
    assert str(folder / "20-broken.toml") in policy.problem
    assert said in policy.problem
    keep_policy(store, policy)
    (folder / "20-broken.toml").unlink()
    assert read_policy(store, folder).rules == Rules(removal=True)


def test_without_any_valid_policy_nothing_happens_automatically(store: Path, folder: Path) -> None:
    (folder / "10-broken.toml").write_text("automatic = maybe")
    policy = read_policy(store, folder)
    decided = effective_settings(UserSettings(automatic=True), policy)
    assert not decided.automatic
    assert not decided.removal
    assert "10-broken.toml" in decided.policy_problem


def test_a_policy_that_was_removed_no_longer_counts(store: Path, folder: Path) -> None:
    file = folder / "10-base.toml"
    file.write_text("removal = false\n")
    keep_policy(store, read_policy(store, folder))
    file.unlink()
    keep_policy(store, read_policy(store, folder))
    file.write_text("broken")
    assert read_policy(store, folder).rules == Rules()


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://updates.example.org", True),
        ("https://updates.example.org/kiosk", True),
        ("https://updates.example.org.evil.example", False),
        ("http://updates.example.org", False),
    ],
)
def test_a_repository_is_allowed_by_a_whole_beginning_of_its_address(
    address: str, allowed: bool
) -> None:
    policy = Policy(Rules(repositories=("https://updates.example.org/",)))
    assert policy.allows(address) is allowed
    assert Policy().allows(address)
    assert not Policy(Rules(repositories=())).allows(address)


@pytest.fixture
def ruled(place: Place, folder: Path) -> Device:
    place.enroll()
    return Device(place.folder / "store", wait=5, policy=folder)


def test_a_person_cannot_change_what_is_locked(ruled: Device, folder: Path) -> None:
    (folder / "10.toml").write_text("automatic = true\n")
    with pytest.raises(PolicyForbidsError, match=r"locked on by .*10\.toml"):
        ruled.preferences.change_settings(None, UserSettings(automatic=False))
    assert ruled.preferences.settings(None).automatic


def test_what_may_not_be_removed_stays(
    ruled: Device, folder: Path, place: Place, vendor: Vendor
) -> None:
    vendor.release()
    place.update()
    (folder / "10.toml").write_text("removal = false\n")
    with pytest.raises(PolicyForbidsError, match=r"Removal is locked by .*10\.toml"):
        ruled.remove(None, why="")
    assert place.text() == "VERSION = 'new'\n"


def test_only_the_allowed_repositories_are_contacted(
    ruled: Device, folder: Path, place: Place
) -> None:
    (folder / "10.toml").write_text('repositories = ["https://updates.example.org"]\n')
    place.server.requests.clear()
    for attempt in (ruled.check, lambda product: ruled.install(product, user_initiated=True)):
        with pytest.raises(PolicyForbidsError, match="not allowed by"):
            attempt(None)
    assert place.server.requests == []


def at(text: str, zone: str = "UTC") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        ("02:00-05:00", "2026-11-25T01:00", "2026-11-25T02:00"),
        ("02:00-05:00", "2026-11-25T03:00", "2026-11-25T03:00"),
        ("02:00-05:00", "2026-11-25T05:00", "2026-11-26T02:00"),
        ("22:00-04:00", "2026-11-25T01:00", "2026-11-25T01:00"),
        ("22:00-04:00", "2026-11-25T04:00", "2026-11-25T22:00"),
        ("00:00-24:00", "2026-11-25T23:59", "2026-11-25T23:59"),
        ("sat,sun 22:00-04:00", "2026-11-25T12:00", "2026-11-28T22:00"),
        ("sat,sun 22:00-04:00", "2026-11-30T03:00", "2026-11-30T03:00"),  # Sunday's, on Monday
        ("wed 10:00-11:00", "2026-11-25T11:00", "2026-12-02T10:00"),
    ],
)
def test_a_window_is_open_or_says_when_it_opens(window: str, now: str, opens: str) -> None:
    assert Window.parse(window).next_at(at(now), ZoneInfo("UTC")) == at(opens)


def test_a_window_that_the_clock_leaves_out_is_the_next_days() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # from 02:00 to 03:00 on 29 March 2026
    opens = Window.parse("02:00-03:00").next_at(at("2026-03-29T00:30", "Europe/Berlin"), berlin)
    assert dt.datetime.fromtimestamp(opens, berlin).isoformat() in (
        "2026-03-30T02:00:00+02:00", "2026-03-29T03:00:00+02:00",
    )  # fmt: skip


def test_of_several_windows_the_next_counts_and_none_means_any_time() -> None:
    windows = (Window.parse("02:00-03:00"), Window.parse("12:00-13:00"))
    utc = ZoneInfo("UTC")
    assert next_opening(windows, at("2026-11-25T09:00"), utc) == at("2026-11-25T12:00")
    assert next_opening((), 12345, utc) == 12345


def test_a_window_is_written_in_one_form() -> None:
    with pytest.raises(WindowError, match="25:00"):
        Window.parse("25:00-26:00")
