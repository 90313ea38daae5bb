"""Strangers who guess passwords lock nobody out, and learn nothing about accounts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repoint.fleet.page.auth import known_browsers
from repoint.fleet.page.auth import sign_in as sign_in_module
from repoint.fleet.page.auth.accounts import AccountPassword, Accounts
from repoint.fleet.page.auth.known_browsers import Browser, KnownBrowsers
from repoint.fleet.page.auth.sign_in import SignIn
from repoint.fleet.stores.opening import open_state
from repoint.page.auth.attempts import FREE
from repoint.page.auth.errors import TooManyAttemptsError, WrongPasscodeError
from repoint.page.page_store import PageStore
from tests.fleet.page.served import PASSWORD, Client, Served, served, write_accounts

HOST = "fleet.acme.example"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    """A page behind a proxy with HTTPS."""
    write_accounts(tmp_path)
    state = open_state(f"sqlite:///{tmp_path}/fleet.db")
    with served(state, tmp_path, public=f"https://{HOST}") as running:
        yield running
    state.close()


def sign_in(
    page: Served, name: str, password: str, address: str = "192.0.2.1", cookie: str = ""
) -> tuple[int, str]:
    """Try to sign in; return the status, and the cookie by which the browser is known then."""
    client = Client(page.port, host=HOST, cookie=cookie)
    answer, _ = client.send(
        "POST", "/sign-in", {"name": name, "password": password},
        headers={"X-Forwarded-For": address},
    )  # fmt: skip
    found = re.search(r"__Host-repoint-browser=[^;]+", answer.getheader("Set-Cookie") or "")
    return answer.status, found[0] if found else ""


def guesses(page: Served, name: str, address: str, cookie: str = "") -> list[int]:
    return [sign_in(page, name, f"guess {n}", address, cookie)[0] for n in range(FREE + 3)]


def test_a_stranger_who_guesses_locks_out_only_the_own_network(page: Served) -> None:
    assert guesses(page, "anna", "198.51.100.7")[-1] == 429
    assert sign_in(page, "anna", PASSWORD, "198.51.100.7")[0] == 429
    assert sign_in(page, "anna", PASSWORD, "192.0.2.1")[0] == 303


def test_a_browser_that_has_signed_in_is_not_locked_out_by_others_of_its_network(
    page: Served,
) -> None:
    status, cookie = sign_in(page, "anna", PASSWORD)
    assert status == 303
    guesses(page, "anna", "192.0.2.1")
    assert sign_in(page, "anna", PASSWORD)[0] == 429
    assert sign_in(page, "anna", PASSWORD, cookie=cookie) == (303, cookie)


def test_a_browser_that_has_signed_in_may_not_guess_without_end(page: Served) -> None:
    cookie = sign_in(page, "anna", PASSWORD)[1]
    assert guesses(page, "anna", "192.0.2.1", cookie).count(403) == FREE
    assert sign_in(page, "anna", PASSWORD, cookie=cookie)[0] == 429
    assert sign_in(page, "anna", PASSWORD)[0] == 303, "it is not the account that waits"


def test_a_browser_is_known_for_its_account_only(page: Served) -> None:
    cookie = sign_in(page, "ben", PASSWORD)[1]
    guesses(page, "anna", "192.0.2.1")
    assert sign_in(page, "anna", PASSWORD, cookie=cookie)[0] == 429


def test_a_new_password_makes_browsers_unknown(page: Served) -> None:
    cookie = sign_in(page, "anna", PASSWORD)[1]
    page.page.accounts.change("anna", password="another long password")
    guesses(page, "anna", "192.0.2.1")
    assert sign_in(page, "anna", "another long password", cookie=cookie)[0] == 429


def test_the_answers_about_a_name_that_exists_and_one_that_does_not_are_the_same(
    page: Served,
) -> None:
    answers = {name: guesses(page, name, "198.51.100.7") for name in ("anna", "nobody", "no one")}
    assert answers["anna"] == answers["nobody"] == answers["no one"]
    assert answers["anna"][: FREE + 1] == [403] * FREE + [429]


def test_guesses_under_any_number_of_names_fill_no_disk(
    page: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_module, "_COUNTS", 8)
    for number in range(12):
        sign_in(page, f"name-{number}", "guess", f"198.51.100.{number}")
    assert (tmp_path / "page/attempts.json").read_text().count("stranger") == 8


def test_an_account_has_a_number_of_known_browsers(tmp_path: Path) -> None:
    write_accounts(tmp_path)
    store = PageStore(tmp_path)
    account = Accounts(store).find("anna")
    assert account is not None
    now = [1_800_000_000]
    browsers = KnownBrowsers(store, lambda: now[0])
    tokens = [browsers.remember(Browser("192.0.2.1", ""), account) for _ in range(20)]
    known = [browsers.knows(Browser("192.0.2.1", token), account) for token in tokens]
    assert known == [False] * 4 + [True] * 16
    now[0] += known_browsers.REMEMBERED
    assert not browsers.knows(Browser("192.0.2.1", tokens[-1]), account)


class Checks:
    """Holds the checks of passwords of accounts that do not exist, as a busy processor does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        verify = AccountPassword.verify

        def held(password: AccountPassword, given: str) -> bool:
            if password.account is None:
                self.begun.release()
                assert self.go_on.wait(60)
                return False
            return verify(password, given)

        monkeypatch.setattr(AccountPassword, "verify", held)


def test_guesses_that_are_checked_at_once_hold_up_nobody_elsewhere(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = sign_in(page, "anna", PASSWORD)[1]
    checks, statuses = Checks(monkeypatch), []

    def guess(number: int) -> None:
        statuses.append(sign_in(page, f"made-up-{number}", "guess", "198.51.100.7")[0])

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(6)]
    for guesser in guessers:
        guesser.start()
    for _ in range(2):  # one network has as many at once
        assert checks.begun.acquire(timeout=60)
    try:
        assert sign_in(page, "anna", PASSWORD, "203.0.113.1")[0] == 303
        assert sign_in(page, "anna", PASSWORD, cookie=cookie)[0] == 303
        assert page.page.sessions.begin("eve", "viewer", "provider", subject="1").cookie
        assert not statuses
    finally:
        checks.go_on.set()
        for guesser in guessers:
            guesser.join()
    assert set(statuses) <= {403, 429}


def test_guesses_from_many_networks_at_once_hold_up_no_known_browser(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = sign_in(page, "anna", PASSWORD)[1]
    checks = Checks(monkeypatch)
    page.page.sign_in._slots._patience = 0  # what comes when all are taken is refused
    guessers = [
        threading.Thread(target=sign_in, args=(page, "made-up", "guess", f"198.51.100.{number}"))
        for number in range(4)
    ]
    for guesser in guessers:
        guesser.start()
    for _ in guessers:
        assert checks.begun.acquire(timeout=60)
    try:
        assert sign_in(page, "anna", PASSWORD, "203.0.113.1")[0] == 429
        assert sign_in(page, "anna", PASSWORD, cookie=cookie)[0] == 303
    finally:
        checks.go_on.set()
        for guesser in guessers:
            guesser.join()
    assert sign_in(page, "anna", PASSWORD, "203.0.113.1")[0] == 303


@dataclass
class Door:
    """Signing in without a server, with a clock that the test sets."""

    now: float
    accounts: Accounts
    sign_in: SignIn

    def try_at(self, name: str, password: str, address: str, token: str = "") -> str:
        try:
            self.sign_in.require(name, password, Browser(address, token))
        except WrongPasscodeError:
            return "wrong"
        except TooManyAttemptsError:
            return "not checked"
        return "right"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    def verify(password: AccountPassword, given: str) -> bool:
        return password.account is not None and given == PASSWORD

    monkeypatch.setattr(AccountPassword, "verify", verify)  # an hour of guesses takes seconds
    write_accounts(tmp_path)
    store = PageStore(tmp_path)
    accounts = Accounts(store)
    made = Door(1_800_000_000, accounts, SignIn(store, accounts, lambda: made.now))
    return made


def test_made_up_names_from_one_address_lock_out_no_other_network(door: Door) -> None:
    outcomes = []
    for number in range(3600):
        outcomes.append(door.try_at(f"made-up-{number}", "guess", "198.51.100.7"))
        door.now += 1
    assert outcomes.count("wrong") <= 40
    elsewhere = [door.try_at("anna", PASSWORD, f"203.0.113.{number}") for number in range(250)]
    assert set(elsewhere) == {"right"}
    door.try_at("made-up", "guess", "198.51.100.7")
    assert door.try_at("anna", PASSWORD, "198.51.100.7") == "not checked"
    door.now += 3600
    assert door.try_at("anna", PASSWORD, "198.51.100.7") == "right"


def test_made_up_names_from_many_networks_lock_out_no_other_network(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_module, "_COUNTS", 8)
    for number in range(8):
        for _ in range(FREE + 1):
            door.try_at(f"made-up-{number}", "guess", f"198.51.100.{number}")
    elsewhere = [door.try_at("anna", PASSWORD, f"203.0.113.{number}") for number in range(32)]
    assert set(elsewhere) == {"right"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:1::1", "2001:db8:1:ffff::2", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("unknown", "192.0.2.1", False),
    ],
)
def test_the_network_of_an_address_is_what_one_person_may_hold(
    first: str, second: str, same: bool
) -> None:
    assert (known_browsers.network_of(first) == known_browsers.network_of(second)) is same


def test_right_passwords_of_a_network_do_not_count(door: Door) -> None:
    assert {door.try_at("anna", PASSWORD, "192.0.2.1") for _ in range(40)} == {"right"}


def test_one_account_is_not_guessed_from_any_number_of_networks(
    door: Door,
) -> None:
    account = door.accounts.find("anna")
    assert account is not None
    token = door.sign_in.remember(Browser("192.0.2.1", ""), account)
    most = sign_in_module._OF_AN_ACCOUNT
    guesses = [door.try_at("anna", "guess", f"10.0.{n // 250}.{n % 250}") for n in range(most + 9)]
    assert guesses == ["wrong"] * most + ["not checked"] * 9
    assert door.try_at("anna", PASSWORD, "203.0.113.1") == "not checked"
    assert door.try_at("anna", PASSWORD, "203.0.113.1", token) == "right"
    assert door.try_at("ben", PASSWORD, "203.0.113.1") == "right"
    door.now += 60
    assert door.try_at("anna", PASSWORD, "203.0.113.1") == "right"
