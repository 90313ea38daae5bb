"""Strangers who guess passwords lock nobody out, and learn nothing about accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.fleet.page.auth import known_browsers
from repoint.fleet.page.auth.accounts import Accounts
from repoint.fleet.page.auth.known_browsers import Browser, KnownBrowsers
from repoint.fleet.stores.opening import open_state
from repoint.page.auth.attempts import FREE
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
    monkeypatch.setattr(known_browsers, "_COUNTS", 8)
    for number in range(40):
        sign_in(page, f"name-{number}", "guess", f"198.51.100.{number}")
    assert (tmp_path / "page/attempts.json").read_text().count("stranger") <= 8


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
