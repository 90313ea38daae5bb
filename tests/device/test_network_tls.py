"""TLS: private authorities, client certificates, and what an error means."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from repoint.device.errors import NetworkSettingsError, NoNetworkError
from repoint.device.fetch.fetcher import Fetcher
from repoint.device.fetch.network import Credential, Network, NetworkSettings
from tests.middlebox import Middlebox, Reply, always

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass
class Authority:
    """A certificate authority with a folder for what it issues."""

    folder: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        made = self._builder(self.name, self.key.public_key(), (NOW - DAY, NOW + DAY))
        self.certificate = made.add_extension(basic, critical=True).sign(self.key, hashes.SHA256())
        self.file = self.folder / "authority.pem"
        self.file.write_bytes(pem(self.certificate))

    def issue(
        self, host: str = "127.0.0.1", *, days: tuple[int, int] = (-1, 1), own: bool = False
    ) -> tuple[Path, Path]:
        """Return the files of a certificate and of its key; ``own`` makes it self-signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        span = (NOW + days[0] * DAY, NOW + days[1] * DAY)
        issuer = name if own else self.name
        made = self._builder(name, key.public_key(), span, issuer)
        made = made.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        signed = made.sign(key if own else self.key, hashes.SHA256())
        certificate, file = self.folder / f"{host}.pem", self.folder / f"{host}.key"
        certificate.write_bytes(pem(signed))
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        file.chmod(0o600)
        return certificate, file

    def _builder(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        span: tuple[dt.datetime, dt.datetime],
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer or self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(span[0])
            .not_valid_after(span[1])
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    key if issuer == name else self.key.public_key()
                ),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path, authority: Authority) -> Iterator[Serve]:
    made: list[Middlebox] = []

    def start(certificate: Path, key: Path, *, asks: bool = False) -> str:
        server = Middlebox(tmp_path, always(Reply(200, b"{}")))
        made.append(server)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority.file)
        server._server.socket = context.wrap_socket(
            server._server.socket, server_side=True, do_handshake_on_connect=False
        )
        return server.url.replace("http:", "https:")

    yield start
    for server in made:
        server.close()


def fetch(url: str, network: Network) -> bytes:
    body, _ = Fetcher(network).get_if_changed(f"{url}/timestamp.json", "", 1000)
    assert body is not None
    return body


@pytest.mark.parametrize(
    "name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "settings", "folder"]
)
def test_a_private_authority_can_be_named(
    authority: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url = serve(*authority.issue())
    file = str(authority.file)
    if name == "settings":
        network = Network(NetworkSettings(authorities=file), "network.toml")
    elif name == "folder":
        folder = authority.folder / "authorities"
        folder.mkdir()
        digest = ssl_name_hash(authority.file)
        (folder / f"{digest}.0").symlink_to(authority.file)
        network = Network(environment={"REQUESTS_CA_BUNDLE": str(folder)})
    else:
        monkeypatch.setenv(name, file)  # OpenSSL reads SSL_CERT_FILE itself
        network = Network(environment={name: file})
    assert fetch(url, network) == b"{}"


def ssl_name_hash(certificate: Path) -> str:
    import subprocess

    command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


PROBLEMS: dict[str, tuple[Callable[[Authority], tuple[Path, Path]], tuple[str, str]]] = {
    "expired": (lambda a: a.issue(days=(-3, -1)), ("has expired", "Check this device's clock")),
    "not valid yet": (lambda a: a.issue(days=(1, 3)), ("is not valid yet", "this device's clock")),
    "wrong name": (lambda a: a.issue("h.example"), ("for another name", "repository's address")),
    "wrong address": (lambda a: a.issue("127.0.0.2"), ("for another name", "repository's address")),
    "self-signed": (lambda a: a.issue(own=True), ("self-signed", "`authorities`")),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_certificate_that_is_not_accepted_is_one_line(
    authority: Authority, serve: Serve, case: str
) -> None:
    issue, message = PROBLEMS[case]
    url = serve(*issue(authority))
    network = Network(NetworkSettings(authorities=str(authority.file)), "network.toml")
    with pytest.raises(NoNetworkError) as caught:
        fetch(url, network)
    assert all(words in str(caught.value) for words in message), str(caught.value)


def test_an_unknown_authority_is_one_line(authority: Authority, serve: Serve) -> None:
    url = serve(*authority.issue())
    with pytest.raises(NoNetworkError, match=r"signed by an unknown authority.*Add the authority"):
        fetch(url, Network())


def test_a_server_without_tls_is_one_line(tmp_path: Path) -> None:
    server = Middlebox(tmp_path, always(Reply(200, b"{}")))
    with pytest.raises(NoNetworkError, match=r"does not speak TLS.*http or https"):
        fetch(server.url.replace("http:", "https:"), Network())
    server.close()


def test_a_client_certificate_identifies_the_device(authority: Authority, serve: Serve) -> None:
    url = serve(*authority.issue(), asks=True)
    certificate, key = map(str, authority.issue("device.example"))
    file = str(authority.file)
    credential = Credential(below=url, certificate=certificate, key=key)
    settings = NetworkSettings(authorities=file, credentials=(credential,))
    assert fetch(url, Network(settings, "network.toml")) == b"{}"
    with pytest.raises(NoNetworkError) as caught:
        fetch(url, Network(NetworkSettings(authorities=file), "network.toml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda certificate, key: key.chmod(0o644), "The key of network.toml is not used"),
        (lambda certificate, key: key.unlink(), "cannot be read: No such file"),
        (lambda certificate, key: certificate.unlink(), "cannot be read: No such file"),
        (lambda certificate, key: key.write_text("junk"), "cannot be used"),
        (lambda certificate, key: encrypt(key), "cannot be used"),
    ],
)
def test_a_client_certificate_that_cannot_be_used_is_one_line(
    authority: Authority, change: Callable[[Path, Path], object], message: str
) -> None:
    certificate, key = authority.issue("device.example")
    change(certificate, key)
    credential = Credential(below="https://h/", certificate=str(certificate), key=str(key))
    network = Network(NetworkSettings(credentials=(credential,)), "network.toml")
    with pytest.raises(NetworkSettingsError, match=message):
        fetch("https://h", network)


def encrypt(key: Path) -> None:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SSL_CERT_FILE", None),
        ("REQUESTS_CA_BUNDLE", None),
        ("REQUESTS_CA_BUNDLE", b"junk"),
        ("CURL_CA_BUNDLE", None),
        ("CURL_CA_BUNDLE", b"junk"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_one_line(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NetworkSettingsError, match=f"{name} names {file}, which"):
        fetch("https://127.0.0.1:1", Network(environment={name: str(file)}))


class ConnectProxy:
    """A proxy that connects, if it is asked with the right login."""

    def __init__(self, login: str = "") -> None:
        self.requests: list[str] = []
        self._login = login
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.netloc = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, contextlib.suppress(ConnectionError):
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.requests.append(head.decode())
        if self._login not in head.decode():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        if host == "refused.example":
            client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            both = {client: server, server: client}
            while True:
                ready, _, _ = select.select(list(both), [], [], 5)
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    both[one].sendall(data)
                if not ready:
                    return


def test_https_goes_through_a_proxy_that_only_connects(authority: Authority, serve: Serve) -> None:
    url = serve(*authority.issue("updates.example")).replace("127.0.0.1", "updates.example")
    login = base64.b64encode(b"u:p").decode()
    proxy = ConnectProxy(f"Proxy-Authorization: Basic {login}")
    settings = NetworkSettings(authorities=str(authority.file))
    network = Network(settings, "network.toml", {"https_proxy": f"http://u:p@{proxy.netloc}"})
    assert fetch(url, network) == b"{}"
    assert proxy.requests[0].startswith(f"CONNECT {url.removeprefix('https://')} ")
    network = Network(settings, "network.toml", {"https_proxy": f"http://u:x@{proxy.netloc}"})
    with pytest.raises(NoNetworkError, match=r"asks for a user name and a password \(status 407\)"):
        fetch(url, network)
    network = Network(settings, "network.toml", {"https_proxy": f"http://u:p@{proxy.netloc}"})
    with pytest.raises(NoNetworkError, match=r"refuses to connect to refused\.example \(status 40"):
        fetch("https://refused.example", network)
    with pytest.raises(NoNetworkError, match="for another name"):
        fetch(url.replace("updates.example", "other.example"), network)
    proxy.close()
