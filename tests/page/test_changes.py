"""The page when a policy decides, when something is in the way, and when something fails."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Browser, Route, expect

from repoint.agent.agent_state import AgentState, write_agent_state
from repoint.device.store.records import Generation, Mark, UserSettings
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from tests.page.conftest import enroll
from tests.page.panel import Panel
from tests.page.settings import PASSCODE, Client, set_test_passcode, settings
from tests.places import MAPS_A_LIBRARY, Place, wait_for
from tests.serving import WebServer
from tests.world import NAME, OLD, PLATFORM, Vendor, write_tree

PANEL = "/product/acme-kiosk/"

STUBBORN = MAPS_A_LIBRARY.replace(
    "print(", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint("
)


@pytest.fixture
def known(enrolled: Place) -> Place:
    """An enrolled device whose person has chosen a passcode already."""
    set_test_passcode(enrolled.folder / "store")
    return enrolled


@pytest.fixture
def known_with_own_vendor(own_vendor_place: Place) -> Place:
    """The same, where the test may publish and withdraw."""
    own_vendor_place.vendor.release()
    set_test_passcode(enroll(own_vendor_place).folder / "store")
    return own_vendor_place


@contextmanager
def at_the_page(chromium: Browser, place: Place, policy: Path = Path("/none")) -> Iterator[Panel]:
    with (
        settings(place.folder / "store", policy=policy) as served,
        chromium.new_context(locale="en-US") as context,
    ):
        page = context.new_page()
        page.goto(served.link())
        yield Panel(page)


@pytest.mark.slow
def test_settings_of_the_policy_are_locked_and_cannot_be_bypassed(
    chromium: Browser, known: Place
) -> None:
    known.update()
    folder = known.folder / "policy.d"
    folder.mkdir()
    file = folder / "10-fleet.toml"
    file.write_text("automatic = true\nremoval = false\n")
    with at_the_page(chromium, known, folder) as panel:
        expect(panel.page.get_by_role("switch")).to_be_disabled()
        automatic = panel.group("Automatically Install")
        expect(automatic).to_contain_text(f"Locked by {file}")
        expect(panel.group("In force")).to_contain_text(f"Removal is locked by {file}")
        expect(panel.page.get_by_role("link", name="Remove")).to_have_count(0)
        panel.page.get_by_role("button", name="Check Now").click()
        wait_for(lambda: "fleet" in (known.folder / "store/policy.json").read_text())
        file.write_text("automatic = maybe\n")
        panel.page.reload()
        panel.see("policy contains an error. The last valid policy stays in force.")
        expect(panel.page.get_by_role("switch")).to_be_disabled()
    file.write_text("automatic = true\nremoval = false\n")
    with settings(known.folder / "store", policy=folder) as served:
        client = Client.entered(served)
        form = {"token": client.token(PANEL), "passcode": PASSCODE}
        off = client.send("POST", f"{PANEL}automatic", {**form, "to": "off"})[0]
        gone = client.send("POST", f"{PANEL}remove", {**form, "label": "26.3.1 (a)"})[0]
        assert (off.status, gone.status) == (403, 403)
    assert known.device.status(None).in_force == "26.3.1 (a)"


@pytest.mark.slow
def test_a_deferral_and_a_deadline_are_shown_with_their_times(
    chromium: Browser, known_with_own_vendor: Place
) -> None:
    known = known_with_own_vendor
    folder = known.folder / "policy.d"
    folder.mkdir()
    (folder / "10-fleet.toml").write_text("defer_days = 10\ndeadline_days = 30\n")
    known.vendor.clock = itertools.count(int(time.time()))
    known.vendor.release()
    known.device.check(None)
    with at_the_page(chromium, known, folder) as panel:
        available = panel.group("Available")
        expect(available).to_contain_text(
            re.compile(r"It will be installed automatically on \w+, \w+ \d+, \d{4} at ")
        )
        expect(available).to_contain_text("It will be enforced")
        expect(available).to_contain_text(f"Set by {folder / '10-fleet.toml'}")


def test_with_the_switch_off_the_page_says_that_nothing_installs_automatically(
    chromium: Browser, known: Place
) -> None:
    known.device.preferences.change_settings(None, UserSettings(automatic=False))
    with at_the_page(chromium, known) as panel:
        expect(panel.group("Available")).to_contain_text("It is not installed automatically")
        expect(panel.page.get_by_role("switch")).not_to_be_checked()


def test_without_an_agent_the_page_promises_nothing(chromium: Browser, known: Place) -> None:
    write_agent_state(known.product, AgentState())
    with at_the_page(chromium, known) as panel:
        expect(panel.group("Available")).to_contain_text("It is not installed automatically")
        expect(panel.group("Automatically Install")).to_contain_text(
            "Nothing is installed automatically yet"
        )


@pytest.mark.slow  # the page waits ten seconds for the program
def test_a_program_that_does_not_close_is_named_and_nothing_is_activated(
    chromium: Browser, known: Place
) -> None:
    known.device.install(None, user_initiated=True)
    known.run(STUBBORN, launched=False)
    with at_the_page(chromium, known) as panel:
        panel.verdict("Restart to protect acme-kiosk")
        expect(panel.group("Ready to install")).to_contain_text("If you do nothing")
        panel.open("Restart & Install")
        expect(panel.sheet).to_contain_text("start it again yourself")
        panel.give()
        panel.press("Restart & Install")
        notice = panel.page.get_by_role("status").filter(has_text="did not close")
        expect(notice).to_contain_text("Close it yourself, and try again")
        notice.get_by_text("Details").click()
        expect(notice).to_contain_text(str(known.programs[0].pid))
        panel.verdict("Restart to protect acme-kiosk")
        assert known.device.status(None).in_force == "26.3.1"
        notice.get_by_role("button", name="Dismiss").click()
        expect(notice).to_have_count(0)


@pytest.mark.slow
def test_a_program_that_was_closed_for_good_is_named_afterwards(
    chromium: Browser, known: Place
) -> None:
    known.run(MAPS_A_LIBRARY, launched=True)
    known.device.install(None, user_initiated=True)
    with at_the_page(chromium, known) as panel:
        panel.open("Restart & Install")
        panel.give()
        panel.press("Restart & Install")
        panel.verdict("acme-kiosk is protected")
        panel.see(re.compile("Start this program again yourself: python"))


@pytest.mark.slow
def test_without_a_network_the_installation_fails_and_can_be_tried_again(
    chromium: Browser, known: Place
) -> None:
    known.server.close()
    with at_the_page(chromium, known) as panel:
        panel.open("Install")
        panel.give()
        panel.press("Install")
        panel.see("repository could not be reached.")
        panel.page.get_by_role("button", name="Check Now").click()
        panel.see("Last check failed")
        expect(panel.page.get_by_role("link", name="Install")).to_be_visible()


@pytest.mark.slow
def test_a_stopped_installation_resumes(chromium: Browser, known: Place) -> None:
    known.server.stall_after.append(100)
    with at_the_page(chromium, known) as panel:
        panel.open("Install")
        panel.give()
        panel.press("Install")
        wait_for(lambda: bool(known.server.stalled))
        panel.page.get_by_role("button", name="Stop").click()
        panel.see("Stopped. The downloaded part is kept")
        assert not known.server.go_on.is_set(), "nothing more has come"
        known.server.go_on.set()
        panel.open("Install")
        panel.give()
        panel.press("Install")
        panel.verdict("Restart to protect acme-kiosk")


@pytest.mark.slow
def test_a_late_response_to_another_form_does_not_close_a_sheet(
    chromium: Browser, known: Place
) -> None:
    known.server.stall_after.append(100)
    late: list[tuple[Route, APIResponse]] = []
    with at_the_page(chromium, known) as panel:
        panel.page.route("**/stop", lambda route: late.append((route, route.fetch())))
        panel.open("Install")
        panel.give()
        panel.press("Install")
        wait_for(lambda: bool(known.server.stalled))
        panel.page.get_by_role("button", name="Stop").click()
        while not late:  # the server has it, and the page waits for the answer
            panel.page.wait_for_timeout(50)
        known.server.go_on.set()
        panel.see("Stopped. The downloaded part is kept")
        panel.open("Install")
        ((route, answer),) = late
        with panel.page.expect_response("**/stop"):
            route.fulfill(response=answer)
        panel.page.wait_for_timeout(500)
        expect(panel.sheet).to_be_visible()


@pytest.mark.slow
def test_a_changed_offer_is_shown_before_it_is_installed(known: Place) -> None:
    with settings(known.folder / "store") as served:
        client = Client.entered(served)
        form = {"token": client.token(f"{PANEL}install"), "passcode": PASSCODE,
                "label": "26.3.1 (z)"}  # fmt: skip
        answer, text = client.send("POST", f"{PANEL}install", form)
        assert answer.status == 200
        assert "Install 26.3.1 (a)?" in text
        assert known.device.status(None).staged == ""


@pytest.mark.slow
def test_an_improvement_that_failed_its_check_cannot_be_installed(
    chromium: Browser, known: Place
) -> None:
    known.product.marks.set(
        Generation(NAME.version, NAME.build, "a"), Mark("failed", 1, "it hangs")
    )
    with at_the_page(chromium, known) as panel:
        expect(panel.group("Available")).to_contain_text("it hangs")
        expect(panel.page.get_by_role("link", name="Install")).to_have_count(0)


@pytest.mark.slow
def test_a_withdrawn_improvement_shows_the_reason_and_can_be_removed(
    chromium: Browser, known_with_own_vendor: Place
) -> None:
    known = known_with_own_vendor
    known.update()
    known.vendor.withdraw("a", "it draws <b>odd</b> pictures")
    known.device.check(None)
    with at_the_page(chromium, known) as panel:
        expect(panel.group("In force")).to_contain_text("it draws <b>odd</b> pictures")
        panel.open("Remove")
        panel.give()
        panel.press("Remove")
        expect(panel.group("In force")).to_contain_text("as it was released")


@pytest.mark.slow
def test_the_whole_history_has_its_own_page(chromium: Browser, known: Place) -> None:
    for _ in range(3):
        known.update()
        known.device.remove(None, why="to and fro")
    with at_the_page(chromium, known) as panel:
        panel.page.get_by_role("link", name="Show All").click()
        expect(panel.page.locator("h1")).to_have_text("History")
        expect(panel.page.get_by_role("listitem").filter(has_text="to and fro")).to_have_count(3)
        expect(
            panel.page.get_by_role("listitem").filter(has_text="Improvements were set up")
        ).to_have_count(1)


@pytest.mark.slow
def test_with_several_products_each_has_its_panel(
    chromium: Browser, known: Place, tmp_path: Path
) -> None:
    other = Vendor(tmp_path / "other", product="acme-signage")
    other.baseline({"engine": OLD})
    server = WebServer(other.public)
    try:
        graft = write_tree(tmp_path / "signage/engine", OLD)
        wanted = BaselineFilter(platform=PLATFORM)
        grafts = {"engine": GraftRequest(graft)}
        known.device.enroll("acme-signage", server.url, other.root, grafts, wanted)
        known.device.check("acme-signage")
        with at_the_page(chromium, known) as panel:
            expect(panel.page.get_by_role("link")).to_have_count(2)
            panel.page.get_by_role("link", name="acme-signage").click()
            panel.verdict("acme-signage is protected")
            panel.page.get_by_role("link", name="Products").click()
            panel.page.get_by_role("link", name="acme-kiosk").click()
            panel.verdict("acme-kiosk is not protected")
    finally:
        server.close()
