"""Where a device goes: redirects, proxies, and to whom it shows its credentials."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.device.device import Device
from repoint.device.errors import (
    NetworkSettingsError,
    NoNetworkError,
    NotTrustedError,
    PolicyForbidsError,
)
from repoint.device.fetch.fetcher import Fetcher
from repoint.device.fetch.network import Network, read_network
from repoint.device.fetch.proxies import Proxy, bypasses, proxy_for
from repoint.model.address import Address
from repoint.model.errors import RepointError
from tests.middlebox import Behaviour, Middlebox, ReceivedRequest, Reply, always, honest
from tests.places import Place
from tests.world import Vendor

DATA = b"content" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    (made / "x").write_bytes(DATA)
    return made


def fetch(url: str, tmp_path: Path, network: Network | None = None) -> bytes:
    part = tmp_path / "part"
    part.unlink(missing_ok=True)
    Fetcher(network).download(url, part, len(DATA))
    return part.read_bytes()


def to(location: str, status: int = 302) -> Behaviour:
    return always(Reply(status, b"", {"Location": location}))


Serve = Callable[[Behaviour], Middlebox]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(tmp_path: Path, serve: Serve, status: int) -> None:
    cdn = serve(honest)
    server = serve(to(f"{cdn.url}/x?signature=1#part", status))
    assert fetch(f"{server.url}/y", tmp_path) == DATA
    assert [request.path for request in cdn.requests] == ["/x?signature=1"]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("ftp://h/x", "cannot be used: 'ftp://h/x' is not an http or https URL"),
        ("file:///etc/passwd", "is not an http or https URL"),
        ("http://user:secret@h/x", "contains a user name or a password"),
        ("http://[::1", "malformed"),
        ("http://h:99999/", "no valid port"),
        ("//\\h", "backslash"),
        ("/y", "redirects more than 5 times"),
    ],
)
def test_a_redirect_to_nowhere_is_one_line(
    tmp_path: Path, serve: Serve, location: str, message: str
) -> None:
    server = serve(to(location))
    with pytest.raises(NotTrustedError) as caught:
        fetch(f"{server.url}/y", tmp_path)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(server.requests) <= 6


def test_a_redirect_to_what_cannot_be_reached_names_both(tmp_path: Path, serve: Serve) -> None:
    server = serve(to("http://login.invalid/"))
    with pytest.raises(NoNetworkError) as caught:
        fetch(f"{server.url}/y", tmp_path)
    assert "redirects to login.invalid" in str(caught.value)
    assert "its name cannot be resolved" in str(caught.value)
    assert "If this network asks for a login" in str(caught.value)


def test_a_redirect_never_leads_from_https_to_http() -> None:
    from repoint.device.fetch.connector import _redirect

    with pytest.raises(NotTrustedError, match="from https to the unencrypted http://h"):
        _redirect(Address.parse("https://h/x"), "http://h/x")


@pytest.mark.one_quick
@pytest.mark.parametrize("where", ["enrolment", "check", "patch"])
def test_a_redirect_stays_within_the_repositories_of_the_policy(
    place: Place, vendor: Vendor, tmp_path: Path, where: str
) -> None:
    real = Middlebox(vendor.public)
    server = Middlebox(vendor.public)

    def away(request: ReceivedRequest) -> Reply:
        return Reply(302, b"", {"Location": f"{real.url}{request.path}"})

    (tmp_path / "policy.d").mkdir()
    (tmp_path / "policy.d/1.toml").write_text(f'repositories = ["{server.url}/"]\n')
    device = Device(place.folder / "store", wait=5, policy=tmp_path / "policy.d")
    place.server.folder = vendor.public
    if where == "enrolment":
        server.behaviour = away
        with pytest.raises(PolicyForbidsError, match="redirects to"):
            enroll(place, device, server.url)
    else:
        enroll(place, device, server.url)
        vendor.release()
        if where == "patch":
            device.check(None)
        server.behaviour = away
        act = (
            device.check
            if where == "check"
            else (lambda product: device.install(product, user_initiated=True))
        )
        with pytest.raises(PolicyForbidsError, match=r"are not allowed by .*1\.toml"):
            act(None)
    assert real.requests == []
    real.close()
    server.close()


def enroll(place: Place, device: Device, url: str) -> None:
    from repoint.device.update.enrolment.enroll import GraftRequest
    from repoint.device.update.enrolment.recognize import BaselineFilter
    from tests.world import PLATFORM

    grafts = {"engine": GraftRequest(place.graft)}
    device.enroll(place.vendor.product, url, place.vendor.root, grafts, BaselineFilter(PLATFORM))


# Proxies.


@pytest.mark.parametrize(
    ("exceptions", "address", "bypassed"),
    [
        ("", "http://h/", False),
        ("*", "http://h/", True),
        ("h", "http://h/", True),
        ("H", "http://h/", True),
        ("other, h", "http://h/", True),
        ("other h", "http://h/", True),
        ("example.org", "https://example.org/", True),
        ("example.org", "https://a.example.org/", True),
        (".example.org", "https://a.example.org/", True),
        (".example.org", "https://example.org/", True),
        ("*.example.org", "https://a.b.example.org/", True),
        ("example.org", "https://badexample.org/", False),
        ("example.org", "https://example.org.evil.example/", False),
        ("example.org.", "https://example.org/", True),
        ("h:8080", "http://h:8080/", True),
        ("h:8080", "http://h/", False),
        ("h:443", "https://h/", True),
        ("*:8080", "http://h/", False),
        ("127.0.0.1", "http://127.0.0.1:8000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:8000/", False),
        ("127.0.0.0/8", "http://127.1.2.3/", True),
        ("10.0.0.0/8", "http://127.0.0.1/", False),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("10.1.2.3/8", "http://10.9.9.9/", True),
        ("::1", "http://[::1]:8000/", True),
        ("[::1]", "http://[::1]:8000/", True),
        ("[::1]:8000", "http://[::1]:8000/", True),
        ("[::1]:8001", "http://[::1]:8000/", False),
        ("fd00::/8", "http://[fd00::5]/", True),
        ("fd00::/8", "http://10.0.0.1/", False),
        (".", "http://h/", False),
        (",,", "http://h/", False),
    ],
)
def test_no_proxy_excepts_what_it_names(exceptions: str, address: str, bypassed: bool) -> None:
    assert bypasses(Address.parse(address), exceptions) is bypassed


@pytest.mark.parametrize(
    ("environment", "address", "proxy"),
    [
        ({}, "https://h/", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://h/", "http://p:3128"),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://h/", None),
        ({"https_proxy": "http://p:3128/"}, "https://h/", "http://p:3128"),
        ({"http_proxy": "p:3128"}, "http://h/", "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, "http://h/", "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://h/", None),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:2"}, "http://h/", "http://b:2"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": ""}, "http://h/", None),
        ({"ALL_PROXY": "https://p:3128"}, "https://h/", "https://p:3128"),
        ({"all_proxy": "http://p:1", "https_proxy": "http://q:2"}, "https://h/", "http://q:2"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h"}, "https://h/", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, "https://h/", None),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, "https://h/", "http://[::1]:3128"),
        ({"HTTPS_PROXY": "  "}, "https://h/", None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: dict[str, str], address: str, proxy: str | None
) -> None:
    found = proxy_for(Address.parse(address), Network(environment=environment))
    assert (found and str(found.address)) == proxy


@pytest.mark.parametrize(
    "text",
    ["socks5://u:secret@p:1080", "socks5h://p", "http://p:99999", "http://u:secret@[::1", "ftp://p",
     "http://p/secret?x", "http://u:secret@", "http://u:secret@p:3128/path"],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_one_line(text: str) -> None:
    with pytest.raises(NetworkSettingsError, match="The proxy of HTTPS_PROXY cannot be used") as e:
        Proxy.parse(text, "HTTPS_PROXY")
    assert "u:secret" not in str(e.value)
    assert "http://proxy.example.org:3128" in str(e.value)


def test_a_proxy_is_asked_with_its_login_and_the_server_does_not_see_it(
    tmp_path: Path, serve: Serve
) -> None:
    proxy = serve(honest)
    environment = {"http_proxy": proxy.url.replace("//", "//us%40er:p%3Aw@")}
    body = fetch("http://updates.invalid/x", tmp_path, Network(environment=environment))
    assert body == DATA
    (request,) = proxy.requests
    assert request.path == "http://updates.invalid/x"
    login = base64.b64encode(b"us@er:p:w").decode()
    assert request.headers["Proxy-Authorization"] == f"Basic {login}"
    assert "Authorization" not in request.headers


def test_a_proxy_that_wants_a_login_or_does_not_answer_is_one_line(
    tmp_path: Path, serve: Serve
) -> None:
    proxy = serve(always(Reply(407)))
    for url in ("http://updates.invalid/x", "https://updates.invalid/x"):
        name = url.partition(":")[0]
        network = Network(environment={f"{name}_proxy": proxy.url.replace("//", "//u:secret@")})
        with pytest.raises(NoNetworkError) as caught:
            fetch(url, tmp_path, network)
        if name == "http":
            assert "proxy asks for a user name and a password (status 407)" in str(caught.value)
        assert "secret" not in str(caught.value)
    proxy.close()
    with pytest.raises(NoNetworkError, match=r"The proxy 127\.0\.0\.1:\d+ cannot be reached"):
        fetch("http://updates.invalid/x", tmp_path, network_of(proxy))


def network_of(proxy: Middlebox) -> Network:
    return Network(environment={"http_proxy": proxy.url})


# The settings file.


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "network.toml"
    file.touch(mode=0o600)
    monkeypatch.setenv("REPOINT_NETWORK", str(file))
    for name in list(os.environ):
        if re.fullmatch("(?i)(https?|all|no)_proxy", name):
            monkeypatch.delenv(name)
    return file


def permitted(address: str) -> None:
    pass


def test_credentials_go_to_their_address_and_to_no_other(
    tmp_path: Path, serve: Serve, settings: Path
) -> None:
    cdn = serve(honest)
    server = serve(
        lambda request: (
            honest(request)
            if request.path == "/x"
            else Reply(302, b"", {"Location": f"{cdn.url}/x"})
        )
    )
    settings.write_text(
        f'[[credentials]]\nfor = "{server.url}/"\nuser = "us:er"\npassword = "pä"\n'
    )
    network = read_network(permitted)
    assert fetch(f"{server.url}/x", tmp_path, network) == DATA
    assert fetch(f"{server.url}/elsewhere", tmp_path, network) == DATA
    login = base64.b64encode("us:er:pä".encode()).decode()
    assert {request.headers.get("Authorization") for request in server.requests} == {
        f"Basic {login}"
    }
    assert {request.headers.get("Authorization") for request in cdn.requests} == {None}


def test_credentials_that_are_wrong_or_missing_are_one_line(
    tmp_path: Path, serve: Serve, settings: Path
) -> None:
    server = serve(always(Reply(401)))
    with pytest.raises(NoNetworkError, match=r"asks for a user name and a password \(status 401\)"):
        fetch(f"{server.url}/x", tmp_path, read_network(permitted))
    settings.write_text(f'[[credentials]]\nfor = "{server.url}"\nuser = "u"\npassword = "secret"\n')
    with pytest.raises(NoNetworkError, match="does not accept this device's user name") as caught:
        fetch(f"{server.url}/x", tmp_path, read_network(permitted))
    assert "secret" not in str(caught.value)


def test_the_settings_name_the_proxy_before_the_environment(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://of-the-environment:1")
    address = Address.parse("https://h/")
    for text, proxy in (
        ("", "http://of-the-environment:1"),
        ('proxy = "http://u:p@of-the-file:2"', "http://of-the-file:2"),
        ('proxy = ""', None),
        ('proxy = "http://of-the-file:2"\nno_proxy = "h"', None),
    ):
        settings.write_text(text)
        found = proxy_for(address, read_network(permitted))
        assert (found and str(found.address)) == proxy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proxy = secret", "it is not valid TOML"),
        ('prxy = "secret"', "unknown field `prxy`"),
        ("proxy = 1", "`proxy`"),
        ('[[credentials]]\nuser = "secret"', "missing required field `for`"),
        ('[[credentials]]\nfor = "https://h/"', "a credential needs `user` and `password`"),
        ('[[credentials]]\nfor = "https://u:secret@h/"\nuser = "u"', "a user name or a password"),
        ('[[credentials]]\nfor = "https://h/"\ncertificate = "a.pem"', "are absolute paths"),
        ("\udcff", "it is not valid TOML"),
        ("a = " + "9" * 5000, "it is not valid TOML"),
    ],
)
def test_malformed_settings_are_one_line_that_shows_nothing(
    settings: Path, text: str, message: str
) -> None:
    settings.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(NetworkSettingsError) as caught:
        read_network(permitted)
    assert message in str(caught.value)
    assert str(settings) in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606])
def test_settings_that_others_could_read_are_refused(settings: Path, mode: int) -> None:
    settings.chmod(mode)
    with pytest.raises(NetworkSettingsError, match=r"are not used: .*(chmod 600|chmod go-w)"):
        read_network(permitted)


def test_without_settings_nothing_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPOINT_NETWORK", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    assert read_network(permitted).settings.credentials == ()
    monkeypatch.setenv("REPOINT_NETWORK", str(tmp_path / "nope"))
    with pytest.raises(NetworkSettingsError, match="do not exist"):
        read_network(permitted)


def test_every_command_uses_the_settings(place: Place, vendor: Vendor, settings: Path) -> None:
    login = base64.b64encode(b"kiosk:secret").decode()

    def protected(request: ReceivedRequest) -> Reply:
        known = request.headers.get("Authorization") == f"Basic {login}"
        return honest(request) if known else Reply(401)

    server = Middlebox(vendor.public, protected)
    with pytest.raises(RepointError, match="asks for a user name"):
        enroll(place, place.device, server.url)
    settings.write_text(
        f'[[credentials]]\nfor = "{server.url}"\nuser = "kiosk"\npassword = "secret"\n'
    )
    enroll(place, place.device, server.url)
    vendor.release()
    place.update()
    assert place.text() == "VERSION = 'new'\n"
    files = [file for file in (place.folder / "store").rglob("*") if file.is_file()]
    assert not any(b"secret" in file.read_bytes() for file in files)
    server.close()
