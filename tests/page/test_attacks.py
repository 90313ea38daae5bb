"""Attacks on the page by other sites, other accounts and a hostile repository."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from repoint.page.auth.attempts import FREE
from tests.page.conftest import Fort, enroll
from tests.page.panel import Panel
from tests.page.settings import PASSCODE, Client, settings
from tests.places import Place

PANEL = "/product/acme-kiosk/"
TURN_OFF = {"to": "off", "passcode": PASSCODE}


@pytest.fixture
def client(fort: Fort) -> Client:
    return Client.entered(fort.served)


@pytest.mark.parametrize("path", ["/", PANEL, f"{PANEL}progress", "/assets/page.js"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:80", "[::1]:{port}", ""]
)
def test_a_request_for_another_host_is_refused(client: Client, path: str, host: str) -> None:
    answer, text = client.send("GET", path, headers={"Host": host.format(port=client.port)})
    # The web server itself refuses an empty or missing one.
    assert answer.status in (400, 403)
    assert "acme-kiosk" not in text


def test_two_hosts_in_one_request_are_refused(client: Client) -> None:
    connection = HTTPConnection("127.0.0.1", client.port)
    connection.putrequest("GET", client.path(PANEL), skip_host=True)
    for host in (client.host, "evil.example"):
        connection.putheader("Host", host)
    connection.putheader("Cookie", client.cookie)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


@pytest.mark.one_quick
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
    ],
    ids=str,
)
def test_a_change_from_another_site_is_refused(
    fort: Fort, client: Client, headers: dict[str, str | None]
) -> None:
    form = {**TURN_OFF, "token": client.token(f"{PANEL}automatic")}
    sent = {name: value and value.format(port=client.port) for name, value in headers.items()}
    answer, _ = client.send("POST", f"{PANEL}automatic", form, headers=sent)
    assert answer.status == 403
    assert fort.unchanged
    answer, _ = client.send("POST", f"{PANEL}automatic", {**form, "to": "on"})
    assert answer.status == 303  # the page itself may


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ü", "x" * 9000], ids=repr)
@pytest.mark.parametrize(
    "change", ["automatic", "install", "restart", "remove", "check", "stop", "dismiss"]
)
def test_a_change_without_this_sessions_token_is_refused(
    fort: Fort, client: Client, change: str, token: str | None
) -> None:
    form = {**TURN_OFF, "label": "26.3.1 (a)"}
    if token is not None:
        form["token"] = token
    answer, _ = client.send("POST", f"{PANEL}{change}", form)
    assert answer.status == 403
    assert fort.unchanged


def test_the_token_of_another_session_is_refused(fort: Fort) -> None:
    one, another = Client.entered(fort.served), Client.entered(fort.served)
    form = {**TURN_OFF, "token": another.token(f"{PANEL}automatic")}
    answer, _ = one.send("POST", f"{PANEL}automatic", form)
    assert answer.status == 403
    assert fort.unchanged


def test_a_link_changes_nothing(fort: Fort, client: Client) -> None:
    query = urlencode({**TURN_OFF, "token": client.token(f"{PANEL}automatic")})
    client.send("GET", f"{PANEL}automatic?{query}")
    client.send("HEAD", f"{PANEL}automatic?{query}")
    assert fort.unchanged


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
def test_a_body_that_is_not_a_form_is_refused(client: Client, kind: str, body: bytes) -> None:
    connection = HTTPConnection("127.0.0.1", client.port)
    connection.request("POST", client.path(f"{PANEL}automatic"), body, {
        "Host": client.host, "Cookie": client.cookie, "Origin": f"http://{client.host}",
        "Content-Type": kind})  # fmt: skip
    assert connection.getresponse().status in (400, 403, 413, 415)
    connection.close()


def test_without_a_session_nothing_is_shown(client: Client) -> None:
    name, _, secret = client.cookie.partition("=")
    for home, cookie in (
        ("/s/guess/", ""),
        ("/s/guess/", "repoint-1=x"),
        ("/s/guess/", f"{name}=guess"),
        ("/s/guess/", client.cookie),
        (client.home, ""),
        (client.home, f"{name}="),
        (client.home, f"{name}=guess"),
        (client.home, f"{name}={client.home.split('/')[2]}"),
        (f"/s/{secret}/", client.cookie),
        ("/s//", client.cookie),
        ("/", client.cookie),
    ):
        stranger = Client(client.port, cookie, home)
        for path in ("/", PANEL, f"{PANEL}history", f"{PANEL}progress", f"{PANEL}install"):
            answer, text = stranger.send("GET", path)
            assert answer.status in (403, 404)
            assert "acme-kiosk" not in text


def test_a_link_works_once(fort: Fort) -> None:
    link = urlsplit(fort.served.link())
    client = Client(fort.served.port)
    assert client.send("GET", link.path)[0].status == 303
    answer, text = client.send("GET", link.path)
    assert answer.status == 403
    assert "This link no longer works" in text
    assert answer.getheader("Set-Cookie") is None


def test_guessed_links_are_refused(fort: Fort) -> None:
    client = Client(fort.served.port)
    for secret in ("x", "A" * 43, "..%2f..%2fetc%2fpasswd", "%00", "%C3%A9", "%FF"):
        answer, _ = client.send("GET", f"/open/{secret}")
        assert answer.status in (400, 403, 404)


def test_the_cookie_is_for_this_page_only(fort: Fort) -> None:
    link = urlsplit(fort.served.link())
    answer, _ = Client(fort.served.port).send("GET", link.path)
    cookie = (answer.getheader("Set-Cookie") or "").lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    assert f"path={(answer.getheader('Location') or '/').lower()}" in cookie
    assert f"repoint-{fort.served.port}=" in cookie


@pytest.mark.parametrize("path", [PANEL, f"{PANEL}install", "/assets/page.js", "/none", "/open/x"])
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
    assert policy["script-src"] == "'self'"
    assert policy["form-action"] == "'self'"
    assert policy["base-uri"] == "'none'"
    assert "unsafe" not in json.dumps(policy)
    assert answer.getheader("X-Frame-Options") == "DENY"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Access-Control-Allow-Origin") is None


def test_files_outside_the_assets_are_not_served(client: Client) -> None:
    for name in ("..%2fapp.py", "../app.py", "%2fetc%2fpasswd", "page.css%00", ""):
        answer, _ = client.send("GET", f"/assets/{name}")
        assert answer.status in (400, 403, 404)


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
    chromium: Browser, fort: Fort, other_site: tuple[str, dict[str, str]]
) -> None:
    site, pages = other_site
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(fort.served.link())
        ours = page.url.partition("product/")[0].rstrip("/")  # even if it knew the session's key
        pages["/frame"] = f'<title>frame</title><iframe src="{ours}{PANEL}"></iframe>'
        pages["/form"] = (
            f'<form method="post" action="{ours}{PANEL}automatic">'
            '<input name="to" value="off"><button>Win a prize</button></form>'
        )
        visitor = context.new_page()
        visitor.goto(f"{site}/frame")
        visitor.wait_for_timeout(500)
        inside = visitor.frames[1].evaluate("document.documentElement.textContent")
        assert "protected" not in inside
        read = "url => fetch(url, {credentials: 'include'}).then(a => a.text(), () => 'refused')"
        assert visitor.evaluate(read, f"{ours}{PANEL}") == "refused"
        blind = "url => fetch(url, {mode: 'no-cors', method: 'POST', credentials: 'include'})"
        visitor.evaluate(f"url => ({blind})(url).then(() => 0, () => 0)", f"{ours}{PANEL}automatic")
        visitor.goto(f"{site}/form")
        visitor.get_by_role("button").click()
        expect(visitor.locator("body")).to_contain_text("Refused")
        # Another port of the same address is another origin, although cookies are sent there.
        pages["/form"] = pages["/form"].replace("localhost", "127.0.0.1")
        visitor.goto(f"{site.replace('localhost', '127.0.0.1')}/form")
        visitor.get_by_role("button").click()
        expect(visitor.locator("body")).to_contain_text("Refused")
        assert fort.unchanged
        page.reload()
        expect(page.locator("#verdict")).to_be_visible()


SCRIPTS = (
    "<script>document.title='pwned'</script>",
    '"><img src=x onerror="document.title=\'pwned\'">',
    "</p></li></main><svg onload=document.title='pwned'>",
    "{{ 7 * 191 }}{% raw %}{format.__class__}",
    "javascript:document.title='pwned'",
)


@pytest.mark.slow
@pytest.mark.parametrize("javascript", [True, False])
def test_script_in_the_fields_of_an_advisory_stays_text(
    chromium: Browser, own_vendor_place: Place, javascript: bool
) -> None:
    from repoint.model.advisory import Advisory, Fix

    hostile = Advisory(
        title=SCRIPTS[0] + SCRIPTS[3],
        fixes=tuple(
            Fix(cves=(f"CVE-2024-1000{n}",), component="engine", impact=script,
                description=script + SCRIPTS[4], credit=script)
            for n, script in enumerate(SCRIPTS)
        ),
    )  # fmt: skip
    own_vendor_place.vendor.release(texts=hostile)
    enroll(own_vendor_place)
    with (
        settings(own_vendor_place.folder / "store") as served,
        chromium.new_context(java_script_enabled=javascript) as context,
    ):
        page = context.new_page()
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        panel = Panel(page)
        page.goto(served.link())
        for script in SCRIPTS:
            expect(panel.group("Available")).to_contain_text(script)
        panel.open("Install")
        panel.choose_passcode()
        panel.press("Install")
        panel.verdict("Restart to protect acme-kiosk")
        if not javascript:
            panel.open("Restart & Install")
        panel.press("Restart & Install")
        panel.verdict("acme-kiosk is protected")
        expect(panel.group("History")).to_contain_text(SCRIPTS[0])
        panel.open("Remove")
        expect(panel.sheet).to_contain_text(SCRIPTS[1])
        panel.give(SCRIPTS[1], "Reason (optional, kept in the history)")
        panel.give()
        panel.press("Remove")
        panel.verdict("acme-kiosk is not protected")
        expect(panel.group("History")).to_contain_text(SCRIPTS[1])
        assert page.title() == "Background Security Improvements"
        assert page.locator("main script, main img, main [onload], main [onerror]").count() == 0
        # Nothing became markup, so the policy had nothing to block.
        assert not [line for line in messages if "Content Security Policy" in line]


@pytest.mark.slow
def test_wrong_passcodes_by_the_hundred_and_at_once_open_nothing(fort: Fort) -> None:
    owner = Client.entered(fort.served)
    fields = {"to": "off", "token": owner.token(f"{PANEL}automatic")}
    statuses: list[int] = []

    def guess(first: int) -> None:
        connection = HTTPConnection("127.0.0.1", owner.port)
        headers = {"Host": owner.host, "Cookie": owner.cookie, "Origin": f"http://{owner.host}",
                   "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
        for number in range(first, first + 50):
            body = urlencode({**fields, "passcode": f"guess {number}"})
            connection.request("POST", owner.path(f"{PANEL}automatic"), body, headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()

    guessers = [threading.Thread(target=guess, args=(number * 50,)) for number in range(4)]
    for guesser in guessers:
        guesser.start()
    for guesser in guessers:
        guesser.join()
    # However many arrive at once, at most the free ones are answered without a wait.
    assert len(statuses) == 200
    assert statuses.count(403) <= FREE - 1
    assert set(statuses) <= {403, 429}
    # Not even the right one is checked now, so nobody learns which one it is.
    answer, text = owner.send("POST", f"{PANEL}automatic", {**fields, "passcode": PASSCODE})
    assert answer.status == 429
    assert int(answer.getheader("Retry-After") or 0) > 0
    assert "Too many wrong passcodes" in text
    assert fort.unchanged
    (fort.place.folder / "store/page/attempts.json").unlink()  # other tests use the same page
