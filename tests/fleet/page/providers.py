"""OpenID providers over HTTP: one that is well-behaved, and one that says whatever a test wants."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from repoint.fleet.page.auth.oidc import ProviderSettings


@contextmanager
def good_provider(people: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Run a provider that knows some people, each with claims; yield its issuer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    claims = [json.dumps({"sub": name, **claims}) for name, claims in people.items()]
    users = [word for each in claims for word in ("--user-claims", each)]
    # A process of its own, because it uses parts of Authlib that warn about their end.
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(
        [*command, *users], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while not _answers(port):
                assert process.poll() is None, "the provider has ended"
                assert time.monotonic() < deadline, "the provider does not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@dataclass
class BadProvider:
    """A provider whose answers a test decides.

    Attributes:
        claims: Added to the claims of the ID token; a value of None removes one.
        algorithm: How the token is signed.
        sign_with: The key that signs; None for the published one.
        answers: What a path answers instead: a status and a body.
    """

    issuer: str = ""
    nonce: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    sign_with: Any = None
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))

    def settings(self, **changes: Any) -> ProviderSettings:
        return ProviderSettings(
            **{"issuer": self.issuer, "client_id": "fleet", "operators": ("sre",), **changes}
        )

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "1", "aud": "fleet", "exp": now + 300, "iat": now,
            "nonce": self.nonce, "preferred_username": "zoe", "groups": ["sre"],
        } | self.claims  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            return "eyJhbGciOiJub25lIn0." + _base64(json.dumps(kept).encode()) + "."
        key = self.sign_with or self.key
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return jwt.encode(
                {"alg": self.algorithm, "kid": "one"}, kept, key, algorithms=[self.algorithm]
            )

    def answer(self, path: str) -> tuple[int, bytes]:
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            places = {
                f"{name}": f"{self.issuer}/{name}"
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
            }
            return 200, json.dumps({"issuer": self.issuer, **places}).encode()
        if path == "/jwks_uri":
            return 200, json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()
        if path == "/token_endpoint":
            return 200, json.dumps({"id_token": self.token(), "access_token": "x"}).encode()
        return 404, b""


@contextmanager
def bad_provider() -> Iterator[BadProvider]:
    """Run a provider whose answers a test decides."""
    provider = BadProvider()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            status, body = provider.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def public_key_as_secret(provider: BadProvider) -> OctKey:
    """Return the published key as a shared secret, as the oldest attack on tokens does."""
    return OctKey.import_key(provider.key.as_pem(private=False).hex())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
