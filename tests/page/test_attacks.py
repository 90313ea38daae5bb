"""What other sites, other accounts and a hostile repository try at the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.page.panel import Panel
from tests.page.settings import PASSCODE, Client, Settings, settings
from tests.places import Place

PANEL = "/product/acme-kiosk/"
TURN_OFF = {"to": "off", "new": PASSCODE, "repeated": PASSCODE}


def turned_off(place: Place) -> bool:
    return not place.device.settings(None).automatic


@pytest.mark.parametrize("path", ["/", PANEL, f"{PANEL}progress", "/assets/page.js"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:80", "[::1]:{port}", ""]
)
def test_a_request_for_another_host_is_refused(client: Client, path: str, host: str) -> None:
    answer, text = client.send("GET", path, headers={"Host": host.format(port=client.port)})
    # An empty or missing one is refused before it comes to us.
    assert answer.status in (400, 403)
    assert "acme-kiosk" not in text


def test_two_hosts_in_one_request_are_refused(client: Client) -> None:
    connection = HTTPConnection("127.0.0.1", client.port)
    connection.putrequest("GET", PANEL, skip_host=True)
    for host in (client.host, "evil.example"):
        connection.putheader("Host", host)
    connection.putheader("Cookie", client.cookie)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


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
    enrolled: Place, client: Client, headers: dict[str, str | None]
) -> None:
    form = {**TURN_OFF, "token": client.token(f"{PANEL}automatic")}
    sent = {name: value and value.format(port=client.port) for name, value in headers.items()}
    answer, _ = client.send("POST", f"{PANEL}automatic", form, headers=sent)
    assert answer.status == 403
    assert not turned_off(enrolled)
    answer, _ = client.send("POST", f"{PANEL}automatic", form)
    assert answer.status == 303  # the same from the page itself
    assert turned_off(enrolled)


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ü", "x" * 9000], ids=repr)
@pytest.mark.parametrize(
    "change", ["automatic", "install", "restart", "remove", "check", "stop", "dismiss"]
)
def test_a_change_without_this_sessions_token_is_refused(
    enrolled: Place, client: Client, change: str, token: str | None
) -> None:
    form = {**TURN_OFF, "label": "26.3.1 (a)"}
    if token is not None:
        form["token"] = token
    answer, _ = client.send("POST", f"{PANEL}{change}", form)
    assert answer.status == 403
    assert not turned_off(enrolled)
    assert enrolled.device.status(None).staged == ""


def test_the_token_of_another_session_is_refused(served: Settings, enrolled: Place) -> None:
    one, another = Client.entered(served), Client.entered(served)
    form = {**TURN_OFF, "token": another.token(f"{PANEL}automatic")}
    answer, _ = one.send("POST", f"{PANEL}automatic", form)
    assert answer.status == 403
    assert not turned_off(enrolled)


def test_a_change_by_a_mere_link_is_no_change(enrolled: Place, client: Client) -> None:
    query = urlencode({**TURN_OFF, "token": client.token(f"{PANEL}automatic")})
    client.send("GET", f"{PANEL}automatic?{query}")
    client.send("HEAD", f"{PANEL}automatic?{query}")
    assert not turned_off(enrolled)


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
def test_a_body_that_is_no_form_of_ours_is_refused(client: Client, kind: str, body: bytes) -> None:
    connection = HTTPConnection("127.0.0.1", client.port)
    connection.request("POST", f"{PANEL}automatic", body, {
        "Host": client.host, "Cookie": client.cookie, "Origin": f"http://{client.host}",
        "Content-Type": kind})  # fmt: skip
    assert connection.getresponse().status in (400, 403, 413, 415)
    connection.close()


def test_without_a_session_nothing_is_shown(client: Client) -> None:
    stranger = Client(client.port)
    for cookie in ("", "repoint-1=x", f"repoint-{client.port}=", f"repoint-{client.port}=guess"):
        stranger.cookie = cookie
        for path in ("/", PANEL, f"{PANEL}history", f"{PANEL}progress", f"{PANEL}install"):
            answer, text = stranger.send("GET", path)
            assert answer.status == 403
            assert "acme-kiosk" not in text


def test_a_link_works_once(served: Settings) -> None:
    link = urlsplit(served.link())
    client = Client(served.port)
    assert client.send("GET", link.path)[0].status == 303
    answer, text = client.send("GET", link.path)
    assert answer.status == 403
    assert "This link does not work any more" in text
    assert answer.getheader("Set-Cookie") is None


def test_guessed_links_are_refused(served: Settings) -> None:
    client = Client(served.port)
    for secret in ("x", "A" * 43, "..%2f..%2fetc%2fpasswd", "%00", "é"):
        answer, _ = client.send("GET", f"/open/{secret}".encode().decode("latin-1"))
        assert answer.status in (400, 403, 404)


def test_the_cookie_is_for_this_page_alone(served: Settings) -> None:
    link = urlsplit(served.link())
    answer, _ = Client(served.port).send("GET", link.path)
    said = (answer.getheader("Set-Cookie") or "").lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "domain" not in said
    assert f"repoint-{served.port}=" in said


@pytest.mark.parametrize("path", [PANEL, f"{PANEL}install", "/assets/page.js", "/none", "/open/x"])
def test_every_answer_forbids_framing_foreign_code_and_guessing(client: Client, path: str) -> None:
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


def test_files_outside_the_assets_are_not_given_out(client: Client) -> None:
    for name in ("..%2fapp.py", "../app.py", "%2fetc%2fpasswd", "page.css%00", ""):
        answer, _ = client.send("GET", f"/assets/{name}")
        assert answer.status in (400, 403, 404)


@pytest.fixture
def other_site() -> Iterator[tuple[str, dict[str, str]]]:
    """A site that a person visits; what it serves at each path."""
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


def test_a_site_that_the_person_visits_can_neither_frame_nor_read_nor_change(
    chromium: Browser, served: Settings, enrolled: Place, other_site: tuple[str, dict[str, str]]
) -> None:
    site, pages = other_site
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(served.link())
        ours = f"http://127.0.0.1:{served.port}"
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
        # Another port of the same address is another site as well, though cookies go there.
        pages["/form"] = pages["/form"].replace("localhost", "127.0.0.1")
        visitor.goto(f"{site.replace('localhost', '127.0.0.1')}/form")
        visitor.get_by_role("button").click()
        expect(visitor.locator("body")).to_contain_text("Refused")
        assert not turned_off(enrolled)
        page.reload()
        expect(page.locator("#verdict")).to_be_visible()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_another_account_of_the_machine_gets_nothing(served: Settings) -> None:
    entered = Client.entered(served)
    link = urlsplit(served.link())
    code = (
        "import http.client, sys\n"
        "for path in sys.argv[3:]:\n"
        "    c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))\n"
        "    c.request('GET', path, headers={'Cookie': sys.argv[2]})\n"
        "    print(c.getresponse().status)\n"
    )
    command = [sys.executable, "-c", code, str(served.port), entered.cookie, PANEL, link.path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, user=65534)
    assert done.stdout.split() == ["403", "403"]
    # Nor did it use up the link by trying.
    assert Client(served.port).send("GET", link.path)[0].status == 303


SCRIPTS = (
    "<script>document.title='pwned'</script>",
    '"><img src=x onerror="document.title=\'pwned\'">',
    "</p></li></main><svg onload=document.title='pwned'>",
    "{{ 7 * 191 }}{% raw %}{format.__class__}",
    "javascript:document.title='pwned'",
)


@pytest.mark.parametrize("javascript", [True, False])
def test_script_in_the_fields_of_an_advisory_stays_text(
    chromium: Browser, place: Place, javascript: bool
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
    place.enroll()
    place.vendor.release(told=hostile)
    place.device.check(None)
    with (
        settings(place.folder / "store") as served,
        chromium.new_context(java_script_enabled=javascript) as context,
    ):
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        panel = Panel(page)
        page.goto(served.link())
        for script in SCRIPTS:
            expect(panel.group("Available")).to_contain_text(script)
        panel.open("Install")
        panel.choose_passcode()
        panel.press("Install")
        panel.verdict("Restart to be protected")
        if not javascript:
            panel.open("Restart & Install")
        panel.press("Restart & Install")
        panel.verdict("This device is protected")
        expect(panel.group("History")).to_contain_text(SCRIPTS[0])
        panel.open("Remove")
        expect(panel.sheet).to_contain_text(SCRIPTS[1])
        panel.give(SCRIPTS[1], "Reason (optional, kept in the history)")
        panel.give()
        panel.press("Remove")
        panel.verdict("This device is not protected")
        expect(panel.group("History")).to_contain_text(SCRIPTS[1])
        assert page.title() == "Background Security Improvements"
        assert page.locator("main script, main img, main [onload], main [onerror]").count() == 0
        # The policy never had to help out: nothing of it became markup at all.
        assert not [line for line in said if "Content Security Policy" in line]


def test_ten_thousand_wrong_passcodes_open_nothing(served: Settings, enrolled: Place) -> None:
    owner = Client.entered(served)
    form = {"to": "off", "token": owner.token(f"{PANEL}automatic")}
    assert owner.send("POST", f"{PANEL}automatic", {**form, **TURN_OFF})[0].status == 303
    on = {"to": "on", "token": form["token"]}
    statuses: dict[int, int] = {}
    lock = threading.Lock()

    def guess(first: int) -> None:
        connection = HTTPConnection("127.0.0.1", owner.port)
        headers = {"Host": owner.host, "Cookie": owner.cookie, "Origin": f"http://{owner.host}",
                   "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
        for number in range(first, first + 2500):
            body = urlencode({**on, "passcode": f"guess {number}"})
            connection.request("POST", f"{PANEL}automatic", body, headers)
            answer = connection.getresponse()
            answer.read()
            with lock:
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
        connection.close()

    began = time.monotonic()
    guessers = [threading.Thread(target=guess, args=(n * 2500,)) for n in range(4)]
    for guesser in guessers:
        guesser.start()
    for guesser in guessers:
        guesser.join()
    print(time.monotonic() - began, statuses)
    assert sum(statuses.values()) == 10_000
    assert statuses[429] > 9_900
    assert set(statuses) == {403, 429}
    # Not even the right one is looked at now, so nobody learns which it is.
    answer, text = owner.send("POST", f"{PANEL}automatic", {**on, "passcode": PASSCODE})
    assert answer.status == 429
    assert int(answer.getheader("Retry-After") or 0) > 0
    assert "Too many wrong passcodes" in text
    assert turned_off(enrolled)
