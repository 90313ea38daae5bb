"""Signing in with an OpenID provider, and the accounts and addresses of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, expect

from repoint.fleet.page.auth.accounts import Accounts
from repoint.fleet.page.auth.address import Address, address_for
from repoint.fleet.page.auth.errors import AccountError, InsecureAddressError, ProviderError
from repoint.fleet.page.auth.oidc import ProviderSettings, read_settings
from repoint.fleet.page.auth.sign_in import PENDING_SECONDS, PendingSignIns
from repoint.page.page_store import PageStore
from tests.fleet.page.conftest import World
from tests.fleet.page.providers import (
    BadProvider,
    bad_provider,
    good_provider,
    public_key_as_secret,
)
from tests.fleet.page.served import Client, Served, served
from tests.fleet.page.vendor_world import PRODUCT, B

PEOPLE: dict[str, dict[str, Any]] = {
    "olga@acme.example": {"email": "olga@acme.example", "groups": ["sre"]},
    "viktor@acme.example": {"email": "viktor@acme.example", "groups": ["staff"]},
    "eve@elsewhere.example": {"email": "eve@elsewhere.example", "groups": []},
}


@pytest.fixture
def at_provider(world: World) -> Iterator[Served]:
    """A page whose people sign in with a well-behaved provider."""
    with good_provider(PEOPLE) as issuer:
        settings = ProviderSettings(
            issuer, "fleet", name="Acme", operators=("sre",), viewers=("staff",),
            scopes=("openid", "profile", "email", "groups"),
        )  # fmt: skip
        with served(
            world.fleet, world.folder, world.vendor, provider=settings, secret="s€cret"
        ) as page:
            yield page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("person", "may_change"), [("olga@acme.example", True), ("viktor@acme.example", False)]
)
def test_the_groups_at_the_provider_decide_the_role(
    chromium: Browser, at_provider: Served, person: str, may_change: bool
) -> None:
    with chromium.new_context(locale="en-US") as context:
        tab = context.new_page()
        troubles: list[str] = []
        tab.on("console", lambda message: troubles.append(message.text))
        tab.goto(f"{at_provider.url}/")
        tab.get_by_role("link", name="Sign in with Acme").click()
        tab.get_by_placeholder("sub").fill(person)
        tab.get_by_role("button", name="Authorize").click()
        expect(tab.locator("#verdict")).to_contain_text(B)
        expect(tab.locator("summary[aria-label]").first).to_have_attribute(
            "aria-label", f"Signed in as {person}"
        )
        assert (tab.get_by_role("link", name="Halt").count() > 0) == may_change
        if may_change:
            tab.get_by_role("link", name="Pause").first.click()
            tab.get_by_role("button", name="Pause").click()
            expect(tab.locator(".events")).to_contain_text("by the provider")
        assert not [line for line in troubles if "Security Policy" in line]


@pytest.mark.slow
def test_who_has_no_role_or_refuses_stays_outside(chromium: Browser, at_provider: Served) -> None:
    with chromium.new_context(locale="en-US") as context:
        tab = context.new_page()
        tab.goto(f"{at_provider.url}/oidc/start")
        tab.get_by_placeholder("sub").fill("eve@elsewhere.example")
        tab.get_by_role("button", name="Authorize").click()
        expect(tab.get_by_role("alert")).to_contain_text("has no role here")
        tab.goto(f"{at_provider.url}/oidc/start")
        tab.get_by_role("button", name="Deny").click()
        expect(tab.get_by_role("alert")).to_contain_text("not signed in there")


@pytest.fixture
def bad(world: World) -> Iterator[tuple[BadProvider, Served]]:
    """A page whose provider says whatever a test wants."""
    with (
        bad_provider() as provider,
        served(world.fleet, world.folder, world.vendor, provider=provider.settings()) as page,
    ):
        yield provider, page


def start(provider: BadProvider, page: Served) -> tuple[Client, str]:
    """Lead a browser to the provider; return it, and the state of its answer."""
    client = Client(page.port)
    answer, text = client.send("GET", "/oidc/start")
    assert answer.status == 303, text
    asked = parse_qs(urlsplit(answer.getheader("Location") or "").query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [f"{page.url}/oidc/callback"]
    provider.nonce = asked["nonce"][0]
    cookie = answer.getheader("Set-Cookie") or ""
    assert "samesite=lax" in cookie.lower()
    assert "httponly" in cookie.lower()
    client.cookie = cookie.partition(";")[0]
    return client, asked["state"][0]


def finish(provider: BadProvider, page: Served) -> tuple[HTTPResponse, str]:
    client, state = start(provider, page)
    return client.send("GET", f"/oidc/callback?state={state}&code=x")


def test_a_sound_token_begins_a_session(bad: tuple[BadProvider, Served]) -> None:
    provider, page = bad
    answer, _ = finish(provider, page)
    assert answer.status == 303
    client = Client(page.port, (answer.getheader("Set-Cookie") or "").partition(";")[0])
    client.home = answer.getheader("Location") or ""
    assert "halt?" in client.get(f"product/{PRODUCT}/")


def test_the_audit_log_says_who_a_person_is_at_the_provider_whatever_the_name(
    bad: tuple[BadProvider, Served], world: World
) -> None:
    provider, page = bad
    answer, _ = finish(provider, page)
    client = Client(page.port, (answer.getheader("Set-Cookie") or "").partition(";")[0])
    client.home = answer.getheader("Location") or ""
    assert client.change("pause", client.sheet("pause", B))[0].status == 303
    lines = (world.folder / "page/audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["1", "1"]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": ["fleet", "another"], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"sub": None},
        {"iat": 4_000_000_000},
        {"preferred_username": None, "sub": ""},
        {"groups": "sre-not"},
        {"groups": {"sre": 1}},
        {"groups": None},
    ],
    ids=str,
)
def test_a_token_whose_claims_do_not_hold_begins_no_session(
    bad: tuple[BadProvider, Served], claims: dict[str, Any]
) -> None:
    provider, page = bad
    provider.claims = claims
    answer, text = finish(provider, page)
    assert answer.status == 403, text
    assert answer.getheader("Set-Cookie") is None
    assert 'role="alert"' in text


@pytest.mark.parametrize("forged", ["none", "shared secret", "another key"])
def test_a_token_that_others_signed_begins_no_session(
    bad: tuple[BadProvider, Served], forged: str
) -> None:
    provider, page = bad
    if forged == "none":
        provider.algorithm = "none"
    elif forged == "shared secret":
        provider.algorithm, provider.sign_with = "HS256", public_key_as_secret(provider)
    else:
        provider.sign_with = RSAKey.generate_key(2048, {"kid": "one"})
    answer, text = finish(provider, page)
    assert answer.status == 403
    assert "does not hold" in text


def test_an_answer_counts_once_and_for_the_browser_that_asked(
    bad: tuple[BadProvider, Served],
) -> None:
    provider, page = bad
    client, state = start(provider, page)
    path = f"/oidc/callback?state={state}&code=x"
    stranger = Client(page.port)
    assert stranger.send("GET", path)[0].status == 403
    stranger.cookie = "repoint-sign-in=guess"
    assert stranger.send("GET", path)[0].status == 403
    assert client.send("GET", "/oidc/callback?state=other&code=x")[0].status == 403
    assert client.send("GET", path)[0].status == 303
    assert client.send("GET", path)[0].status == 403


def test_an_answer_that_another_site_leads_back_opens_the_page_with_its_cookie(
    bad: tuple[BadProvider, Served],
) -> None:
    provider, page = bad
    client, state = start(provider, page)
    answer, text = client.send(
        "GET", f"/oidc/callback?state={state}&code=x",
        headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    )  # fmt: skip
    assert answer.status == 200
    assert 'http-equiv="refresh" content="0;url=/s/' in text
    assert "samesite=strict" in (answer.getheader("Set-Cookie") or "").lower()


def test_who_takes_too_long_signs_in_again() -> None:
    from repoint.fleet.page.auth.oidc import Pending

    now = [0.0]
    waiting = PendingSignIns(lambda: now[0])
    cookie = waiting.add(Pending("state", "nonce", "verifier"))
    now[0] = PENDING_SECONDS
    assert waiting.take("state", cookie) is None
    for number in range(3000):
        waiting.add(Pending(f"{number}", "nonce", "verifier"))
    assert len(waiting._pending) <= 1000


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/token_endpoint", 500, b"oops"),
        ("/token_endpoint", 302, b""),
        ("/token_endpoint", 200, b"<html>"),
        ("/token_endpoint", 200, b"[]"),
        ("/token_endpoint", 200, b"{}"),
        ("/token_endpoint", 200, b'{"id_token": 7}'),
        ("/token_endpoint", 200, b" " * (2 << 20)),
        ("/jwks_uri", 200, b"{}"),
        ("/jwks_uri", 200, b'{"keys": [7]}'),
        ("/jwks_uri", 200, b'{"keys": []}'),
    ],
)
def test_a_provider_that_answers_nonsense_gives_a_clear_page(
    bad: tuple[BadProvider, Served], path: str, status: int, body: bytes
) -> None:
    provider, page = bad
    provider.answers[path] = (status, body)
    answer, text = finish(provider, page)
    assert answer.status == 403
    assert "Signing in did not work" in text


@pytest.mark.parametrize(
    "document",
    [
        b"oops",
        b'{"issuer": "https://evil.example"}',
        b'{"issuer": "ISSUER", "authorization_endpoint": "http://evil.example/", '
        b'"token_endpoint": "http://evil.example/", "jwks_uri": "http://evil.example/"}',
        b'{"issuer": "ISSUER", "authorization_endpoint": "javascript:alert(1)"}',
        b'{"issuer": "ISSUER"}',
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_used(
    bad: tuple[BadProvider, Served], document: bytes
) -> None:
    provider, page = bad
    described = document.replace(b"ISSUER", provider.issuer.encode())
    provider.answers["/.well-known/openid-configuration"] = (200, described)
    answer, text = Client(page.port).send("GET", "/oidc/start")
    assert answer.status == 503
    assert "Signing in did not work" in text
    assert 'name="password"' in text  # local accounts go on working


def test_a_provider_that_is_away_gives_a_clear_page(world: World) -> None:
    with bad_provider() as provider:
        settings = provider.settings()
    with served(world.fleet, world.folder, provider=settings) as page:
        answer, text = Client(page.port).send("GET", "/oidc/start")
    assert answer.status == 503
    assert "does not answer" in text


def test_without_a_provider_its_addresses_lead_nowhere(page: Served) -> None:
    for path in ("/oidc/start", "/oidc/callback?state=x&code=y"):
        assert Client(page.port).send("GET", path)[0].status == 404


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing required field"),
        ('issuer = "http://id.example"\nclient_id = "x"\noperators = ["a"]', "HTTPS"),
        ('issuer = "https://id.example"\nclient_id = "x"', "gives nobody a role"),
        ('issuer = "https://id.example"\nclient_id = "x"\nsecret = "y"', "unknown field"),
        ('issuer = "https://id.example"\nclient_id = "x"\nclient_secret_file = "no"', "no"),
        ("\xff", "cannot be read"),
    ],
)
def test_settings_of_a_provider_that_cannot_work_are_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "provider.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ProviderError, match=says):
        read_settings(file)


def test_the_secret_is_read_from_a_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n")
    file = tmp_path / "provider.toml"
    file.write_text(
        'issuer = "https://id.example"\nclient_id = "x"\nclient_secret_file = "secret"\n'
        'viewers = ["*"]'
    )
    settings, secret = read_settings(file)
    assert secret == "hush"
    assert settings.viewers == ("*",)


@pytest.mark.parametrize(
    ("public", "host", "origin"),
    [
        (None, "127.0.0.1", "http://127.0.0.1:80"),
        (None, "::1", "http://[::1]:80"),
        ("https://fleet.example.com", "0.0.0.0", "https://fleet.example.com"),
        ("https://Fleet.Example.com:8443/", "127.0.0.1", "https://fleet.example.com:8443"),
        (None, "0.0.0.0", None),
        (None, "localhost", None),
        ("http://fleet.example.com", "127.0.0.1", None),
        ("https://fleet.example.com/path", "127.0.0.1", None),
        ("https://", "127.0.0.1", None),
    ],
)
def test_passwords_never_cross_a_network_without_encryption(
    public: str | None, host: str, origin: str | None
) -> None:
    if origin is None:
        with pytest.raises(InsecureAddressError):
            address_for(public, host, 80)
    else:
        assert address_for(public, host, 80) == Address(origin)


def test_accounts_refuse_bad_names_and_short_passwords(tmp_path: Path) -> None:
    accounts = Accounts(PageStore(tmp_path))
    for name in ("", "../x", "a b", "-x", "x" * 65, "ä", "a\n"):
        with pytest.raises(AccountError, match="not a name"):
            accounts.add(name, "viewer", "a long enough password")
    with pytest.raises(AccountError, match="too short"):
        accounts.add("anna", "viewer", "short")
    accounts.add("anna", "viewer", "a long enough password")
    with pytest.raises(AccountError, match="already"):
        accounts.add("anna", "operator", "a long enough password")
    with pytest.raises(AccountError, match="Known accounts: anna"):
        accounts.remove("ben")
    assert "argon2id" in (tmp_path / "page/accounts.json").read_text()
    assert (tmp_path / "page/accounts.json").stat().st_mode & 0o077 == 0


def test_damaged_accounts_let_nobody_in_and_are_not_replaced(tmp_path: Path) -> None:
    accounts = Accounts(PageStore(tmp_path))
    accounts.add("anna", "viewer", "a long enough password")
    (tmp_path / "page/accounts.json").write_text("{")
    for use in (accounts.all, lambda: accounts.find("anna"), lambda: accounts.add(
            "eve", "operator", "a long enough password")):  # fmt: skip
        with pytest.raises(AccountError, match="damaged"):
            use()
