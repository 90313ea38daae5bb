"""Policy: which file decides what, and what becomes of malformed ones."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from repoint.device.device import Device
from repoint.device.errors import PolicyForbidsError
from repoint.device.policy.maintenance_window import Window, WindowError, next_opening
from repoint.device.policy.policy import (
    Policy,
    PolicyError,
    Rules,
    UntrustedPolicyError,
    draft_policy,
    keep_policy,
    read_policy,
)
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
    ("text", "message"),
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
        (b'window = "2:00-3:00"', 'write the times as "02:00-03:00"'),
        (b'window = "02:00 - 05:00"', 'write the times as "02:00-05:00"'),
        (b'window = "Sat 9:00 - 11:30"', 'write the times as "09:00-11:30"'),
        (b'window = "24:00-05:00"', "not a valid span of a day"),
        (b'window = ""', "not a maintenance window"),
        (b"window = []", "list of maintenance windows is empty"),
        (b"window = 2", 'must be "02:00-05:00"'),
        (b"window = 02:00:00", 'must be "02:00-05:00"'),
        (b"defer_days = 2.0", "`defer_days` is 2.0, and must be a whole number of days from 0"),
        (b'defer_days = "2"', "`defer_days` is '2', and must be a whole number"),
        (b"defer_days = 99999", "must be a whole number of days from 0 to 3650"),
        (b'automatic = "yes"', "`automatic` is 'yes', and must be true or false"),
        (b"automatic = yes", "not valid TOML"),
        (b"automatic: true", "not valid TOML"),
        (b"windw = 1", "did you mean `window`? (allowed: automatic, removal,"),
        (b"[policy]\nautomatic = true", "unknown key 'policy'"),
        (b"[window]\na = 1", "`window` is a table"),
        (b'repositories = "https://h/"', 'must be a list of addresses such as ["https://'),
        (b'repositories = ["https://u:secret@h/"]', "contains a user name or a password"),
        (b'repositories = ["http://[::1"]', "malformed"),
        (b"automatic = true\nautomatic = false", "not valid TOML"),
        (b'repositories = ["updates.example.org"]', "not an http or https URL"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = " + b"[" * 5000, "not valid TOML: it is nested too deeply"),
        (b"a = " + b"9" * 5000, "not valid TOML: a number is too long"),
        (b"#" * (2 << 20), "larger than"),
    ],
)
def test_a_malformed_file_is_refused_whole_and_the_last_good_policy_stays(
    store: Path, folder: Path, text: bytes, message: str
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
    assert message in policy.problem
    keep_policy(store, policy)
    (folder / "20-broken.toml").unlink()
    assert read_policy(store, folder).rules == Rules(removal=True)


@pytest.mark.parametrize(
    "text",
    [
        b"automatic = true\r\ndefer_days = 2\r\n",
        b"\xef\xbb\xbfautomatic = true\ndefer_days = 2\n",
        b"\xef\xbb\xbfautomatic = true\r\ndefer_days = 2",
        b"# \xc3\xa4\n\ndefer_days=2\nautomatic=true",
    ],
)
def test_a_file_is_read_however_an_editor_leaves_it(store: Path, folder: Path, text: bytes) -> None:
    (folder / "10-base.toml").write_bytes(text)
    assert read_policy(store, folder).rules == Rules(automatic=True, defer_days=2)


def test_only_files_of_the_policy_count(store: Path, folder: Path) -> None:
    (folder / "10-base.toml").write_text("automatic = true\n")
    (folder / "20-empty.toml").touch()
    for name in ("10.toml~", "10.toml.dpkg-old", "10.toml.bak", ".10.toml", "README", "#10.toml#"):
        (folder / name).write_text("broken [")
    policy = read_policy(store, folder)
    assert (policy.problem, policy.rules) == ("", Rules(automatic=True))


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a dangling link": (lambda file: file.symlink_to("nowhere"), "a link to nowhere"),
    "a folder": (lambda file: file.mkdir(), "Is a directory"),
    "a pipe": (lambda file: os.mkfifo(file), "not a regular file"),
    "a device": (lambda file: file.symlink_to("/dev/zero"), "not a regular file"),
    "a loop": (lambda file: file.symlink_to(file.name), "symbolic links"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_file_is_one_line(store: Path, folder: Path, case: str) -> None:
    make, message = UNREADABLE[case]
    make(folder / "30-odd.toml")
    policy = read_policy(store, folder)
    assert message in policy.problem
    assert "30-odd.toml" in policy.problem
    assert "Correct it" in policy.problem
    assert policy.rules.automatic is False


def elsewhere(folder: Path) -> Path:
    """Replace the folder with a link to another one, whose parent others may write to."""
    loose = folder.parent / "loose"
    loose.mkdir()
    shutil.move(folder, loose / "policy.d")
    folder.symlink_to(loose / "policy.d")
    loose.chmod(0o777)
    return loose


def linked(folder: Path) -> Path:
    """Replace the file with a link to one that others may write to."""
    target = folder.parent / "target.toml"
    (folder / "10-base.toml").rename(target)
    (folder / "10-base.toml").symlink_to(target)
    target.chmod(0o666)
    return target


def given_away(path: Path) -> Path:
    os.chown(path, 65534, 65534, follow_symlinks=False)
    return path


def widened(path: Path, mode: int) -> Path:
    path.chmod(mode)
    return path


def given_link(folder: Path) -> Path:
    target = folder.parent / "target.toml"
    (folder / "10-base.toml").rename(target)
    (folder / "10-base.toml").symlink_to(target)
    return given_away(folder / "10-base.toml")


UNTRUSTED: dict[str, Callable[[Path], Path]] = {
    "a file of another account": lambda folder: given_away(folder / "10-base.toml"),
    "a file that all may write": lambda folder: widened(folder / "10-base.toml", 0o666),
    "a file that a group may write": lambda folder: widened(folder / "10-base.toml", 0o664),
    "a folder of another account": given_away,
    "a folder that all may write": lambda folder: widened(folder, 0o777),
    "a folder that a group may write": lambda folder: widened(folder, 0o775),
    "a parent of another account": lambda folder: given_away(folder.parent),
    "a parent that all may write": lambda folder: widened(folder.parent, 0o777),
    "a link to a file that all may write": linked,
    "a link into a folder that all may write": elsewhere,
    "a link of another account": given_link,
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("case", UNTRUSTED)
def test_a_policy_that_others_could_change_is_refused_and_nothing_is_automatic(
    tmp_path: Path, case: str
) -> None:
    store, folder = tmp_path / "store", tmp_path / "etc/policy.d"
    store.mkdir()
    folder.mkdir(parents=True)
    (folder / "10-base.toml").write_text(
        'automatic = true\ndeadline_days = 1\nwindow = "02:00-05:00"\nbandwidth = 100\n'
    )
    keep_policy(store, read_policy(store, folder))
    culprit = UNTRUSTED[case](folder)
    policy = read_policy(store, folder)
    assert str(culprit) in policy.problem
    assert "nothing is installed, removed or restarted automatically" in policy.problem
    assert "chmod go-w" in policy.problem or "chown -h root" in policy.problem
    assert policy.rules == Rules(automatic=False, removal=False, bandwidth=100, reports=False)
    keep_policy(store, policy)
    with pytest.raises(UntrustedPolicyError):
        draft_policy(folder)


def test_a_folder_below_a_sticky_one_is_trusted(store: Path, tmp_path: Path) -> None:
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    (tmp_path / "sticky/policy.d").mkdir()
    (tmp_path / "sticky/policy.d/1.toml").write_text("automatic = true")
    assert read_policy(store, tmp_path / "sticky/policy.d").rules.automatic


def test_a_draft_that_is_missing_or_malformed_is_an_error(folder: Path) -> None:
    with pytest.raises(PolicyError, match="does not exist"):
        draft_policy(folder / "nope")
    (folder / "1.toml").write_text("automatic = true")
    assert draft_policy(folder).rules.automatic
    with pytest.raises(PolicyError, match="Not a directory"):
        draft_policy(folder / "1.toml")
    (folder / "2.toml").write_text("broken")
    with pytest.raises(PolicyError, match=r"2\.toml is not valid TOML"):
        draft_policy(folder)


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
        ("https://updates.example.org:443/kiosk", True),
        ("https://updates.example.org:444/kiosk", False),
        ("HTTPS://UPDATES.example.org/kiosk", True),
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
