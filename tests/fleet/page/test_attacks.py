"""Attacks on the fleet page by other sites, strangers, viewers and hostile reports."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from repoint.fleet.page.auth.budget import PER_MINUTE
from repoint.model.report import Report
from repoint.page.auth.attempts import FREE
from tests.fleet.page.conftest import World
from tests.fleet.page.served import PASSWORD, Client, Served, served
from tests.fleet.page.signing import sign_in
from tests.fleet.page.vendor_world import ARM, PRODUCT, B

PANEL = f"product/{PRODUCT}/"


@pytest.fixture
def client(page: Served) -> Client:
    return Client.entered(page.port)


@pytest.fixture
def fields(client: Client) -> dict[str, str]:
    """The fields of the form that halts (b)."""
    return client.sheet("halt", B) | {"reason": "It fails"}


def unchanged(world: World) -> bool:
    rollouts = world.vendor.published(PRODUCT).rollouts
    states = {(each.offer.state, each.halt) for one in rollouts for each in one.shown}
    return states == {("offered", None)}


@pytest.mark.parametrize("path", ["/sign-in", PANEL, "/assets/fleet.js", "/"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:80", "[::1]:{port}", ""]
)
def test_a_request_for_another_host_is_refused(client: Client, path: str, host: str) -> None:
    answer, text = client.send("GET", path, headers={"Host": host.format(port=client.port)})
    assert answer.status in (400, 403)
    assert PRODUCT not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "null"},
        {"Origin": None},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=str,
)
def test_a_change_from_another_site_is_refused(
    world: World, client: Client, fields: dict[str, str], headers: dict[str, str | None]
) -> None:
    sent = {name: value and value.format(port=client.port) for name, value in headers.items()}
    answer, _ = client.send("POST", f"{PANEL}halt", fields, headers=sent)
    assert answer.status == 403
    assert unchanged(world)
    answer, _ = client.send("POST", f"{PANEL}halt", fields)
    assert answer.status == 303  # the page itself may
    assert not unchanged(world)


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ü", "x" * 9000], ids=repr)
@pytest.mark.parametrize("change", ["pause", "resume", "promote", "halt"])
def test_a_change_without_this_sessions_token_is_refused(
    world: World, client: Client, fields: dict[str, str], change: str, token: str | None
) -> None:
    form = {name: value for name, value in fields.items() if name != "token"}
    if token is not None:
        form["token"] = token
    answer, _ = client.send("POST", f"{PANEL}{change}", form)
    assert answer.status == 403
    assert unchanged(world)


def test_the_token_of_another_session_is_refused(
    page: Served, world: World, fields: dict[str, str]
) -> None:
    another = Client.entered(page.port)
    answer, _ = another.send("POST", f"{PANEL}halt", fields)
    assert answer.status == 403
    assert unchanged(world)


def test_a_link_changes_nothing(world: World, client: Client, fields: dict[str, str]) -> None:
    for method in ("GET", "HEAD"):
        client.send(method, f"{PANEL}halt?{urlencode(fields)}")
    assert unchanged(world)


def test_a_viewer_sees_everything_and_changes_nothing(page: Served, world: World) -> None:
    viewer, operator = Client.entered(page.port, "vera"), Client.entered(page.port, "anna")
    text = viewer.get(PANEL)
    assert B in text
    assert "halt?" not in text
    for action in ("pause", "resume", "promote", "halt"):
        answer, text = viewer.send(
            "GET", f"{PANEL}{action}?label={B.replace(' ', '%20')}&platform=linux-x86_64"
        )
        assert answer.status == 403
        form = operator.sheet("halt", B) | {"token": token_of(viewer), "reason": "I may not"}
        answer, text = viewer.send("POST", f"{PANEL}{action}", form)
        assert answer.status == 403
        assert "Only operators change rollouts" in text
    assert unchanged(world)


def token_of(client: Client) -> str:
    return client.get(PANEL).partition('name="token" value="')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"token=x"),
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 20_000),
        ("application/x-www-form-urlencoded", b"&".join(b"%d=1" % i for i in range(500))),
        ("application/x-www-form-urlencoded", b"\xff\xfe=\xff"),
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", f"{PANEL}halt"])
def test_a_body_that_is_not_a_form_is_refused(
    client: Client, path: str, kind: str, body: bytes
) -> None:
    connection = HTTPConnection("127.0.0.1", client.port)
    full = path if path.startswith("/") else client.home + path
    connection.request("POST", full, body, {
        "Host": client.host, "Cookie": client.cookie, "Origin": f"http://{client.host}",
        "Content-Type": kind})  # fmt: skip
    assert connection.getresponse().status in (400, 403, 413, 415)
    connection.close()


def test_without_a_session_nothing_is_shown(client: Client) -> None:
    name, _, secret = client.cookie.partition("=")
    for home, cookie in (
        ("/s/guess/", ""),
        ("/s/guess/", f"{name}=guess"),
        ("/s/guess/", client.cookie),
        (client.home, ""),
        (client.home, f"{name}="),
        (client.home, f"{name}=guess"),
        (client.home, f"{name}={client.home.split('/')[2]}"),
        (f"/s/{secret}/", client.cookie),
        ("/s//", client.cookie),
    ):
        stranger = Client(client.port, cookie, home)
        for path in ("", PANEL, "find?id=0", "audit", f"{PANEL}halt"):
            answer, text = stranger.send("GET", path)
            assert answer.status in (303, 404), path
            assert PRODUCT not in text


def test_a_session_ends_by_signing_out(client: Client) -> None:
    answer, _ = client.send("POST", "sign-out", {"token": token_of(client)})
    assert answer.status == 303
    assert client.send("GET", PANEL)[0].status == 303


def test_a_new_password_a_removal_and_a_change_of_role_count_at_once(
    page: Served, world: World
) -> None:
    anna, ben, vera = (Client.entered(page.port, name) for name in ("anna", "ben", "vera"))
    page.page.accounts.change("anna", password="another long password")
    page.page.accounts.remove("ben")
    page.page.accounts.change("vera", role="operator")
    assert anna.send("GET", PANEL)[0].status == 303
    assert ben.send("GET", PANEL)[0].status == 303
    assert "halt?" in vera.get(PANEL)


def test_a_session_lasts_half_a_day_whatever_the_clock_does(world: World) -> None:
    now = [time.time()]
    with served(world.fleet, world.folder, world.vendor) as page:
        page.page.sessions._clock = lambda: now[0]
        client = Client.entered(page.port)
        now[0] += 11 * 3600
        assert client.send("GET", "audit")[0].status == 200
        now[0] += 2 * 3600
        assert client.send("GET", "audit")[0].status == 303
        now[0] -= 40 * 3600
        assert client.send("GET", "audit")[0].status == 303


def test_the_cookie_is_for_this_page_only(page: Served) -> None:
    answer, _ = Client(page.port).send("POST", "/sign-in", {"name": "anna", "password": PASSWORD})
    cookie = (answer.getheader("Set-Cookie") or "").lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    assert f"path={(answer.getheader('Location') or '/').lower()}" in cookie
    assert f"repoint-fleet-{page.port}=" in cookie


def test_behind_https_the_cookie_belongs_to_the_host_and_the_path_holds_no_secret(
    world: World,
) -> None:
    with served(
        world.fleet, world.folder, world.vendor, public="https://fleet.example.com"
    ) as page:
        client = Client(page.port, host="fleet.example.com", home="/")
        answer, _ = client.send("POST", "/sign-in", {"name": "anna", "password": PASSWORD})
        cookie = answer.getheader("Set-Cookie") or ""
        assert cookie.startswith("__Host-repoint-fleet=")
        assert {"secure", "httponly", "path=/", "samesite=strict"} <= set(
            cookie.lower().replace(" ", "").split(";")
        )
        assert answer.getheader("Location") == "/"
        assert "max-age" in (answer.getheader("Strict-Transport-Security") or "")
        client.cookie = cookie.partition(";")[0]
        assert client.change("pause", client.sheet("pause", B))[0].status == 303
        # A person who follows a link of another site signs in and gets there.
        stranger = Client(page.port, host="fleet.example.com", home="/")
        answer, _ = stranger.send("GET", f"/{PANEL}")
        assert answer.getheader("Location") == f"/sign-in?next=/{PANEL}"
        for bad in ("//evil.example/", "https://evil.example", "/\\evil.example", "/product/../x"):
            form = {"name": "anna", "password": PASSWORD, "next": bad}
            answer, _ = stranger.send("POST", "/sign-in", form)
            assert (answer.getheader("Location") or "") in ("/", "/product/../x")


@pytest.mark.parametrize("path", [PANEL, "/sign-in", "/assets/fleet.js", "/none", f"{PANEL}halt"])
def test_every_response_forbids_framing_foreign_code_and_sniffing(
    client: Client, path: str
) -> None:
    answer, _ = client.send("GET", path)
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in (answer.getheader("Content-Security-Policy") or "").split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["base-uri"] == "'none'"
    assert policy["trusted-types"] == "'none'"
    assert "unsafe" not in json.dumps(policy)
    assert answer.getheader("X-Frame-Options") == "DENY"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Access-Control-Allow-Origin") is None


def test_files_outside_the_assets_are_not_served(client: Client) -> None:
    for name in ("..%2fapp.py", "../app.py", "%2fetc%2fpasswd", "fleet.css%00", ""):
        answer, _ = client.send("GET", f"/assets/{name}")
        assert answer.status in (400, 403, 404)


def test_wrong_passwords_by_the_hundred_and_at_once_open_nothing(page: Served) -> None:
    statuses: list[int] = []

    def guess(first: int) -> None:
        client = Client(page.port)
        for number in range(first, first + 40):
            answer, _ = client.send(
                "POST", "/sign-in", {"name": "anna", "password": f"guess {number}"}
            )
            statuses.append(answer.status)

    guessers = [threading.Thread(target=guess, args=(number * 40,)) for number in range(4)]
    for guesser in guessers:
        guesser.start()
    for guesser in guessers:
        guesser.join()
    assert len(statuses) == 160
    assert statuses.count(403) <= FREE
    assert set(statuses) <= {403, 429}
    # Not even the right one is checked now, so nobody learns which one it is.
    answer, text = Client(page.port).send(
        "POST", "/sign-in", {"name": "anna", "password": PASSWORD}
    )
    assert answer.status == 429
    assert int(answer.getheader("Retry-After") or 0) > 0
    assert "too many attempts" in text
    Client.entered(page.port, "ben")  # others are not held up


def test_an_unknown_name_looks_like_a_wrong_password(page: Served) -> None:
    client = Client(page.port)
    answers = []
    for name in ("anna", "nobody", "../../etc", "x" * 3000, "ü", "\x00"):
        answer, text = client.send("POST", "/sign-in", {"name": name, "password": "wrong"})
        answers.append((answer.status, "The account or the password is wrong." in text))
    assert set(answers) == {(403, True)}


def test_too_many_requests_of_one_person_wait(page: Served) -> None:
    client, other = Client.entered(page.port), Client.entered(page.port, "ben")
    for _ in range(PER_MINUTE):
        page.page.budget.wait("account anna", time.monotonic())
    answer, text = client.send("GET", PANEL)
    assert answer.status == 429
    assert int(answer.getheader("Retry-After") or 0) > 0
    assert "Too many requests" in text
    assert other.send("GET", PANEL)[0].status == 200


@pytest.mark.slow
def test_a_request_that_never_ends_is_cut_off(page: Served) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as slow:
        slow.settimeout(20)
        slow.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        assert slow.recv(1) == b""
        assert time.monotonic() - began < 15


@pytest.fixture
def other_site() -> Iterator[tuple[str, dict[str, str]]]:
    """Another site that the person visits, and what it serves at each path."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://localhost:{server.server_address[1]}", pages
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_another_site_can_neither_frame_nor_read_nor_change_the_page(
    chromium: Browser, page: Served, world: World, other_site: tuple[str, dict[str, str]]
) -> None:
    site, pages = other_site
    with chromium.new_context() as context:
        tab = context.new_page()
        sign_in(tab, page)
        ours = tab.url.partition("product/")[0]  # even if it knew the session's key
        pages["/frame"] = f'<title>frame</title><iframe src="{ours}{PANEL}"></iframe>'
        pages["/form"] = (
            f'<form method="post" action="{ours}{PANEL}halt">'
            f'<input name="label" value="{B}"><button>Win a prize</button></form>'
        )
        visitor = context.new_page()
        visitor.goto(f"{site}/frame")
        visitor.wait_for_timeout(500)
        inside = visitor.frames[1].evaluate("document.documentElement.textContent")
        assert PRODUCT not in inside
        read = "url => fetch(url, {credentials: 'include'}).then(a => a.text(), () => 'refused')"
        assert visitor.evaluate(read, f"{ours}{PANEL}") == "refused"
        for address in (site, site.replace("localhost", "127.0.0.1")):
            visitor.goto(f"{address}/form")
            visitor.get_by_role("button").click()
            expect(visitor.locator("body")).to_contain_text("Refused")
        assert unchanged(world)


SCRIPTS = (
    "<script>document.title='pwned'</script>",
    '"><img src=x onerror="document.title=\'pwned\'">',
    "{{ 7 * 191 }}{% raw %}{format.__class__}",
)


@pytest.mark.slow
@pytest.mark.parametrize("javascript", [True, False])
def test_script_in_a_reason_and_in_a_search_stays_text(
    chromium: Browser, page: Served, javascript: bool
) -> None:
    with chromium.new_context(java_script_enabled=javascript) as context:
        tab = context.new_page()
        messages: list[str] = []
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("dialog", lambda dialog: messages.append(dialog.message))
        sign_in(tab, page)
        tab.get_by_role("link", name="Halt").first.click()
        tab.get_by_label("Reason").fill("".join(SCRIPTS))
        tab.get_by_role("button", name="Halt").click()
        expect(tab.locator("#verdict")).to_contain_text(f"{B} is halted")
        for script in SCRIPTS:
            expect(tab.locator("#panel")).to_contain_text(script)
        tab.get_by_role("searchbox").fill(SCRIPTS[1])
        tab.keyboard.press("Enter")
        expect(tab.locator("#panel")).to_contain_text("That is not an id")
        assert tab.get_by_role("searchbox").input_value() == SCRIPTS[1]
        assert "pwned" not in tab.title()
        assert tab.locator("main script, main img, main [onload], main [onerror]").count() == 0
        assert not [line for line in messages if "Content Security Policy" in line]


def test_reports_by_the_thousand_names_make_a_page_of_bounded_size(
    page: Served, world: World
) -> None:
    letters = [f"{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    world.fleet.add(
        [
            Report("1.0", "count", f"{n:032x}", PRODUCT, ARM, "1", letter=letter, ring=f"r{n}")
            for n, letter in enumerate(letters)
        ],
        world.now,
    )
    text = Client.entered(page.port).get(PANEL)
    assert len(text) < 300_000
