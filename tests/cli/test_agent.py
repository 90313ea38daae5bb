"""The commands of the agent and for administrators, as people run them."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, environment, misuse, refusal, repoint, works
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import Vendor


@pytest.fixture
def store(place: Place) -> dict[str, str]:
    place.enroll()
    return {
        "REPOINT_STORE": str(place.folder / "store"),
        "REPOINT_POLICY": str(place.folder / "policy.d"),
        "XDG_STATE_HOME": str(place.folder / "state"),
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere",
    }


def rules(place: Place, text: str) -> Path:
    file = place.folder / "policy.d/10-site.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.slow
def test_a_run_prints_what_it_did_and_then_that_there_is_nothing_to_do(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    vendor.release()
    output = works("agent", "run-once", env=store)
    assert output == (
        "acme-kiosk: 26.3.1 (a) is downloaded and staged.\nacme-kiosk: 26.3.1 (a) is in force.\n"
    )
    assert works("agent", "run-once", env=store) == "acme-kiosk: Nothing to do.\n"


@pytest.mark.slow
def test_a_service_does_not_say_twice_what_is_in_the_journal(
    vendor: Vendor, store: dict[str, str]
) -> None:
    vendor.release()
    assert works("agent", "run-once", env={**store, "JOURNAL_STREAM": "9:1234"}) == ""


def test_a_run_that_fails_prints_why_and_exits_with_status_one(
    place: Place, store: dict[str, str]
) -> None:
    place.server.alter = lambda path, data: b"junk"
    answer = repoint("agent", "run-once", env=store)
    assert answer.status == 1
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("acme-kiosk: ")
    assert "was changed or damaged" in answer.err


@pytest.mark.slow
def test_nothing_stays_resident_and_an_idle_run_makes_one_request(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    vendor.release()
    works("agent", "run-once", env=store)
    place.server.requests.clear()
    works("agent", "run-once", env=store)
    assert [r.status for r in place.server.requests] == [304]
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(place.folder) not in running.stdout


@pytest.mark.slow
def test_what_is_staged_comes_into_force_at_a_start_unless_a_program_runs(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    works("agent", "run-once", env=store)
    assert works("agent", "activate", env=store) == ""
    assert place.text() == "VERSION = 'old'\n"
    place.stop()
    assert works("agent", "activate", env=store) == "acme-kiosk: 26.3.1 (a) is in force.\n"
    assert works("agent", "activate", env=store) == ""


def test_the_policy_is_shown_with_its_files(place: Place, store: dict[str, str]) -> None:
    assert "people decide everything" in works("policy", env=store)
    file = rules(place, 'removal = false\nwindow = ["02:00-03:00", "sun 12:00-14:00"]\n')
    output = works("policy", env=store)
    assert f"removal        no                       {file}\n" in output
    assert "02:00-03:00, sun 12:00-14:00" in output


@pytest.mark.slow
def test_a_malformed_policy_is_loud_everywhere(place: Place, store: dict[str, str]) -> None:
    works("check", env=store)
    file = rules(place, "automatic = perhaps")
    for command in (("policy",), ("agent", "run-once")):
        answer = repoint(*command, env=store)
        assert answer.status == 1, command
        assert str(file) in answer.err
    assert f"policy   ! the current policy files are not in force: {file}" in works(
        "status", env=store
    )
    assert str(file) in works("motd", env=store)
    assert str(file) in works("settings", "automatic", env=store)


def test_a_draft_is_checked_before_it_is_put_in_place(
    tmp_path: Path, store: dict[str, str]
) -> None:
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft/10.toml").write_text("deadline_days = -3")
    answer = repoint("policy", tmp_path / "draft", env=store)
    assert answer.status == 1
    assert "`deadline_days`" in answer.err
    (tmp_path / "draft/10.toml").write_text("deadline_days = 3")
    assert "deadline_days" in works("policy", tmp_path / "draft", env=store)


@pytest.mark.slow
def test_what_is_locked_is_refused_and_shown(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    vendor.release()
    works("agent", "run-once", env=store)
    file = rules(place, "automatic = true\nremoval = false\n")
    refusal(repoint("settings", "automatic", "off", env=store), "locked on", str(file))
    refusal(repoint("remove", env=store), "Removal is locked by", str(file))
    output = works("status", env=store)
    assert f"Automatically Install is on, locked by {file}" in output
    assert f"removal is locked by {file}" in output


@pytest.mark.slow
def test_the_message_of_the_day_is_empty_if_everything_is_in_force(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    works("agent", "run-once", env=store)
    assert works("motd", env=store) == ""
    rules(place, "automatic = false\n")
    vendor.release()
    works("check", env=store)
    output = works("motd", env=store)
    assert output.startswith("A security improvement for acme-kiosk is available: 26.3.1 (a).\n")
    assert "Not installed automatically: Automatically Install is off (" in output


@pytest.mark.slow
def test_a_notification_without_a_desktop_is_not_a_failure(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    vendor.release()
    works("check", env=store)
    assert works("agent", "tell", env=store) == ""


def test_without_logind_no_restart_can_be_cancelled(store: dict[str, str]) -> None:
    env = {**store, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
    refusal(repoint("restart", "--cancel", env=env), "cannot be stopped from here", "shutdown -c")


def test_wrong_usage(store: dict[str, str]) -> None:
    misuse(repoint("agent", "run-once", "--never", env=store), "--never")


def at_a_terminal(store: dict[str, str], *arguments: str, answers: str) -> str:
    """Run the command at a terminal, and answer its questions."""
    leader, follower = pty.openpty()
    program = subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower,
        env=environment(**store, TERM="dumb"), start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    os.write(leader, answers.encode())
    output = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            part = os.read(leader, 4096)
        except OSError:  # nobody is at the other end any more
            break
        if not part:
            break
        output += part
    os.close(leader)
    program.wait(60)
    return output.decode(errors="replace").replace("\r", "")


@pytest.mark.slow
def test_at_a_terminal_install_shows_the_offer_asks_and_offers_the_restart(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    works("check", env=store)
    output = at_a_terminal(store, "install", answers="n\n")
    assert "26.3.1 (a): A security update" in output
    assert "CVE-2023-4863 in engine: not fixed" in output
    assert f"({pid})" in output
    assert "Install it now? [Y/n]" in output
    assert place.product.links.staged() is None

    output = at_a_terminal(store, "install", answers="y\ny\n")
    assert f"({pid}) now? [y/N]" in output
    assert "26.3.1 (a) is active." in output
    assert place.text() == "VERSION = 'new'\n"


@pytest.mark.slow
def test_without_a_terminal_or_with_yes_install_asks_and_restarts_nothing(
    place: Place, vendor: Vendor, store: dict[str, str]
) -> None:
    place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    works("check", env=store)
    output = at_a_terminal(store, "install", "--yes", answers="")
    assert "Staged 26.3.1 (a)" in output
    assert "?" not in output
    assert place.text() == "VERSION = 'old'\n"
