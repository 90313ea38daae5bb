"""Sending a message to a server that nobody has to trust: over TLS, through proxies, in bounded time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.device.errors import NoNetworkError
from repoint.device.fetch.message import Answer, Message, deliver
from repoint.device.fetch.network import Credential, Network, NetworkSettings
from tests import taker as answers
from tests.device.test_network_tls import Authority
from tests.taker import Taker, status


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(authority: Authority) -> Iterator[Taker]:
    """A server with a certificate of a private authority, which asks for one of the client."""
    made = Taker()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(authority.file)
    made._server.socket = context.wrap_socket(
        made._server.socket, server_side=True, do_handshake_on_connect=False
    )
    yield made
    made.close()


def message(server: Taker) -> Message:
    return Message("POST", f"{server.url}/v1/reports", b"[]")


def over_tls(server: Taker) -> Message:
    return Message("POST", f"{server.url.replace('http:', 'https:')}/v1/reports", b"[]")


def test_a_message_arrives_as_it_was_written(taker: Taker) -> None:
    assert deliver(Network(), message(taker)) == Answer(202)
    (taken,) = taker.requests
    assert (taken.method, taken.body, taken.kind) == ("POST", b"[]", "application/json")


def test_a_server_of_an_unknown_authority_gets_nothing(secure: Taker) -> None:
    with pytest.raises(NoNetworkError, match="unknown authority"):
        deliver(Network(), over_tls(secure))
    assert secure.requests == []


def test_an_authority_of_the_settings_counts(secure: Taker, authority: Authority) -> None:
    network = Network(NetworkSettings(authorities=str(authority.file)))
    assert deliver(network, over_tls(secure)) == Answer(202)


def test_a_message_goes_through_the_proxy_and_with_the_credentials_of_its_address(
    taker: Taker,
) -> None:
    seen: list[tuple[str, str]] = []

    def note(handler: answers.Handler) -> None:
        seen.append((handler.path, handler.headers.get("Authorization", "")))
        status(202)(handler)

    taker.answer = note
    settings = NetworkSettings(
        proxy=taker.url,
        credentials=(Credential("http://fleet.example.org", user="me", password="secret"),),
    )
    sent = Message("DELETE", "http://fleet.example.org/v1/reports", b"[]")
    assert deliver(Network(settings), sent) == Answer(202)
    (there,) = seen
    assert there[0] == "http://fleet.example.org/v1/reports"
    assert there[1].startswith("Basic ")


def test_a_redirect_is_an_answer_and_is_not_followed(taker: Taker) -> None:
    taker.answer = status(308, Location=f"{taker.url}/elsewhere")
    assert deliver(Network(), message(taker)).status == 308
    assert len(taker.requests) == 1


def test_a_busy_server_is_not_asked_twice_and_says_when(taker: Taker) -> None:
    taker.answer = status(503, b"later", Retry_After="120")
    assert deliver(Network(), message(taker)) == Answer(503, 120, b"later")
    assert len(taker.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [answers.endless_refusal, answers.endless_header, answers.drip, answers.garbage],
)
def test_the_time_is_bounded_whatever_the_server_sends(
    taker: Taker, answer: answers.Answer
) -> None:
    taker.answer = answer
    started = time.monotonic()
    try:
        found = deliver(Network(), message(taker), limit=1.0)
    except NoNetworkError:
        pass
    else:
        assert found.status == 400
        assert len(found.body) <= 4096
    assert time.monotonic() - started < 3
