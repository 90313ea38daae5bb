"""What operators do with rollouts: one, two at once, and with whatever may be away."""

from __future__ import annotations

import os
import threading
import time

import pytest

from repoint.fleet.page.vendor import VendorSide
from repoint.fleet.stores.errors import DatabaseAwayError
from repoint.model.report import Report
from repoint.model.rollout import ALL
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.rollout.control import Rollouts, ShownRollout
from repoint.repository.repository import Repository
from tests.fleet.page.conftest import World
from tests.fleet.page.served import Client, Served, served
from tests.fleet.page.vendor_world import ARM, DAY, INTEL, PRODUCT, A, B
from tests.world import no_passphrase

PANEL = f"product/{PRODUCT}/"


def shown(world: World, label: str = B, platform: str = INTEL.platform) -> ShownRollout:
    rollouts = Rollouts(world.repository, no_passphrase, lambda: int(time.time()))
    return next(
        each
        for each in rollouts.show(PRODUCT)
        if (each.offer.label, each.offer.baseline.platform) == (label, platform)
    )


def share(world: World) -> int:
    rollout = shown(world).offer.rollout
    assert rollout is not None
    return rollout.share_at(int(time.time()))


def test_pause_resume_promote_and_halt_change_the_rollout_of_one_platform(
    page: Served, world: World
) -> None:
    client = Client.entered(page.port)
    assert client.change("pause", client.sheet("pause", B), "Looking at it")[0].status == 303
    assert (shown(world).offer.state, shown(world).offer.reason) == ("paused", "Looking at it")
    assert client.change("resume", client.sheet("resume", B))[0].status == 303
    assert shown(world).offer.state == "offered"
    assert share(world) == ALL // 10
    assert client.change("promote", client.sheet("promote", B))[0].status == 303
    assert share(world) == ALL // 2
    assert client.change("halt", client.sheet("halt", B), "It fails")[0].status == 303
    halt = shown(world).halt
    assert halt is not None
    assert halt.reason == "It fails"
    assert shown(world, platform=ARM.platform).halt is None
    text = client.get(PANEL)
    assert f"{B} is halted on linux-x86_64" in text
    assert client.change("resume", client.sheet("resume", B))[0].status == 303
    assert shown(world).halt is None


def test_a_halt_needs_a_reason_that_devices_can_show(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    for reason in ("", "   ", "x" * 201, "\u202eevil"):
        answer, text = client.change("halt", client.sheet("halt", B), reason)
        assert answer.status == 422
        assert "reason-error" in text
    assert shown(world).halt is None


def test_the_second_of_two_operators_changes_nothing_and_reads_what_the_first_did(
    page: Served, world: World
) -> None:
    anna, ben = Client.entered(page.port, "anna"), Client.entered(page.port, "ben")
    fields = ben.sheet("promote", B)
    assert anna.change("pause", anna.sheet("pause", B), "It is slow")[0].status == 303
    answer, text = ben.change("promote", fields)
    assert answer.status == 409
    assert "Somebody was faster" in text
    assert "<bdi>anna</bdi></strong> paused 26.3.1 (b)" in text
    assert "It is slow" in text
    assert "Paused just now at 10%" in text
    assert shown(world).offer.state == "paused"


def test_two_clicks_on_promote_at_one_moment_promote_once(page: Served, world: World) -> None:
    clients = [Client.entered(page.port, name) for name in ("anna", "ben")]
    sheets = [client.sheet("promote", B) for client in clients]
    statuses: list[int] = []

    def click(number: int) -> None:
        statuses.append(clients[number].change("promote", sheets[number])[0].status)

    threads = [threading.Thread(target=click, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 409]
    assert share(world) == ALL // 2


def test_a_change_by_a_command_or_the_guard_is_noticed_too(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    fields = client.sheet("promote", B)
    Rollouts(world.repository, no_passphrase, lambda: int(time.time())).halt(
        Selection(PRODUCT, B, INTEL.platform), reason="The guard stopped it"
    )
    answer, text = client.change("promote", fields)
    assert answer.status == 409
    assert "outside of this page" in text
    assert "The guard stopped it" in client.get(PANEL)


def test_the_audit_log_says_who_did_what_and_what_was_refused(page: Served, world: World) -> None:
    client = Client.entered(page.port, "ben")
    client.change("pause", client.sheet("pause", B), "Looking at it")
    client.change("resume", client.sheet("resume", B) | {"seen": "0" * 32})
    text = client.get("audit")
    assert "<bdi>ben</bdi></strong> paused 26.3.1 (b) of acme-kiosk on linux-x86_64" in text
    assert "Looking at it" in text
    assert "It was not done:" in text
    log = (world.folder / "page/audit.jsonl").read_text()
    assert [line.count('"result"') for line in log.splitlines()] == [0, 1, 0, 1]


def test_a_line_cut_off_by_a_power_failure_hides_no_other(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    client.change("pause", client.sheet("pause", B), "First")
    with (world.folder / "page/audit.jsonl").open("a") as log:
        log.write('{"id":"x","when":')
    client.change("resume", client.sheet("resume", B), "Second")
    text = client.get("audit")
    assert "First" in text
    assert "Second" in text


def test_nothing_is_changed_that_cannot_be_recorded(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    fields = client.sheet("halt", B)
    (world.folder / "page/audit.jsonl").mkdir()
    answer, text = client.change("halt", fields, "It fails")
    assert answer.status == 409
    assert "The audit log" in text
    assert shown(world).halt is None


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_an_audit_log_that_cannot_be_read_hides_no_rollout(
    page: Served, world: World, kind: str
) -> None:
    client = Client.entered(page.port)
    fields = client.sheet("pause", B)
    Rollouts(world.repository, no_passphrase, lambda: int(time.time())).halt(
        Selection(PRODUCT, B, INTEL.platform), reason="The guard stopped it", by="guard"
    )
    log = world.folder / "page/audit.jsonl"
    log.mkdir() if kind == "folder" else os.mkfifo(log)
    for path in (PANEL, "audit"):
        text = client.get(path)
        assert "The audit log cannot be read" in text
        assert "it is not a plain file" in text
        assert "The guard stopped it" in text, "the signed halts are a record of their own"
    answer, text = client.change("pause", fields)
    assert answer.status == 409
    assert "cannot be written: it is not a plain file" in text


def test_an_unreadable_audit_log_is_not_called_empty(page: Served, world: World) -> None:
    (world.folder / "page/audit.jsonl").mkdir()
    client = Client.entered(page.port)
    assert 'href="halt?' in client.get(PANEL)
    text = client.get("audit")
    assert "The audit log cannot be read" in text
    assert "Nobody has changed" not in text


@pytest.mark.parametrize(
    ("missing", "works"), [("catalog", {"halt"}), ("halt", {"pause", "promote"})]
)
def test_a_button_whose_key_is_missing_says_so(
    page: Served, world: World, missing: str, works: set[str]
) -> None:
    (world.repository.path / f"keys/{PRODUCT}.{missing}.pem").unlink()
    client = Client.entered(page.port)
    text = client.get(PANEL)
    for action in ("pause", "promote", "halt"):
        assert (f'href="{action}?' in text) == (action in works)
    assert f"The key of the role {PRODUCT}.{missing} cannot be read" in text
    refused = "pause" if missing == "catalog" else "halt"
    sheet = client.get(f"{PANEL}{refused}?label=26.3.1%20(b)&platform=linux-x86_64")
    assert "cannot work here" in sheet
    # Even a form that was opened before the key went away changes nothing.
    fields = client.sheet(refused, B)
    answer, text = client.change(refused, fields, "It fails")
    assert answer.status == 409
    assert "Nothing was changed" in text


def test_an_encrypted_key_without_a_passphrase_says_what_to_set(world: World) -> None:
    from repoint.cli.passphrases import NoPassphraseError, from_environment

    key = world.repository.path / f"keys/{PRODUCT}.catalog.pem"
    key.write_text(key.read_text().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))
    vendor = VendorSide(world.repository, from_environment, time.time)
    error = vendor.hindrance(PRODUCT, "pause")
    assert isinstance(error, NoPassphraseError)
    assert "REPOINT_PASSPHRASE" in str(error)
    assert vendor.hindrance(PRODUCT, "halt") is None


class Away:
    """A database that does not answer."""

    def __getattr__(self, _: str) -> object:
        def fail(*_: object) -> None:
            raise DatabaseAwayError("The database does not answer: refused", hint="Start it")

        return fail


def test_a_database_that_is_away_gives_a_clear_page(world: World) -> None:
    with served(Away(), world.folder, world.vendor) as page:  # type: ignore[arg-type]
        client = Client.entered(page.port)
        for path in ("", PANEL, f"find?id={'0' * 32}"):
            answer, text = client.send("GET", path)
            assert answer.status == 503
            assert "The fleet cannot be shown now" in text
            assert "The database does not answer" in text
            assert "Traceback" not in text


def test_a_repository_that_is_away_hides_the_rollouts_only(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    metadata = world.repository.public / "metadata"
    metadata.rename(metadata.with_name("away"))
    text = client.get(PANEL)
    assert "The repository cannot be read" in text
    assert A in text  # what devices report is there
    assert "halt?" not in text
    metadata.with_name("away").rename(metadata)
    assert "halt?" in client.get(PANEL)


@pytest.mark.parametrize(("behind", "says"), [(3 * DAY, "clock is behind"), (0, "")])
def test_a_clock_that_is_behind_is_said(world: World, behind: int, says: str) -> None:
    clock = time.time() - behind
    with served(world.fleet, world.folder, world.vendor, clock=clock) as page:
        text = Client.entered(page.port).get(PANEL)
    assert ("clock is behind" in text) == bool(says)


def test_an_unexpected_error_gives_a_page_and_one_line_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, _: str) -> object:
            raise ValueError("boom\nboom")

    with served(Broken(), world.folder, world.vendor) as page:  # type: ignore[arg-type]
        answer, text = Client.entered(page.port).send("GET", PANEL)
    assert answer.status == 500
    assert "Something went wrong" in text
    assert "boom" not in text
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "ValueError: boom\\nboom" in lines[0]


def test_a_device_is_found_by_its_id(page: Served, world: World) -> None:
    identity = "0123456789abcdef" * 2
    world.fleet.add(
        [
            Report("1.0", "staged", "1" * 32, PRODUCT, INTEL, "0.9.2", letter="b", id=identity),
            Report("1.0", "failed", "2" * 32, PRODUCT, INTEL, "0.9.2", letter="b", id=identity,
                   failure="health"),
        ],
        int(time.time()),
    )  # fmt: skip
    client = Client.entered(page.port)
    text = client.get(f"find?id={identity.upper()}")
    assert "One letter on one device" in text
    assert "26.3.1 (b): Failed, Failed its health check" in text
    assert "That is not an id" in client.get("find?id=../etc/passwd")
    assert "Nothing is known" in client.get(f"find?id={'f' * 32}")


def test_a_device_on_which_a_letter_failed_runs_what_ran_before(page: Served, world: World) -> None:
    device, letters = "d" * 32, ("a" * 32, "b" * 32)
    now = int(time.time())
    told = [("staged", "a"), ("confirmed", "a"), ("staged", "b"), ("failed", "b")]
    for number, (kind, letter) in enumerate(told):
        report = Report(
            "1.0", kind, f"{number:x}" * 32, PRODUCT, INTEL, "0.9.2", letter=letter,  # type: ignore[arg-type]
            id=letters[letter == "b"], device=device, failure="health" if kind == "failed" else None,
        )  # fmt: skip
        world.fleet.add([report], now + number)
    text = Client.entered(page.port).get(f"find?id={device}")
    assert "<dt>In force</dt><dd>26.3.1 (a)</dd>" in text
    assert "26.3.1 (b): Failed" in text


def test_several_products_are_listed_with_their_state(page: Served, world: World) -> None:
    world.fleet.add(
        [Report("1.0", "count", "3" * 32, "other-app", INTEL, "0.9.2", letter="a")],
        int(time.time()),
    )
    client = Client.entered(page.port)
    text = client.get("")
    assert PRODUCT in text
    assert "other-app" in text
    assert "No rollout" in text
    assert "No improvement is published" in client.get("product/other-app/")


def test_without_a_repository_the_reports_are_shown(world: World) -> None:
    with served(world.fleet, world.folder) as page:
        text = Client.entered(page.port).get(PANEL)
    assert "Start this page with --repository" in text
    assert A in text


def test_the_state_of_the_repository_is_read_again_after_a_publication(
    page: Served, world: World
) -> None:
    client = Client.entered(page.port)
    assert "is reaching devices" in client.get(PANEL)
    repository = Repository.open(world.repository.path)
    Rollouts(repository, no_passphrase, lambda: int(time.time())).pause(
        Selection(PRODUCT, B), reason=""
    )
    assert f"{B} is paused" in client.get(PANEL)
