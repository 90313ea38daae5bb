"""Servers that send without end, or so slowly that a device would wait for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import msgspec
import pytest

from repoint.device.errors import NoNetworkError
from repoint.model.errors import RepointError
from tests.attacks.serving import Hostile, drip, drip_headers, pour, pour_headers
from tests.places import Place
from tests.world import FIXED, Vendor

How = Callable[[Hostile, BaseHTTPRequestHandler], None]
Serve = Callable[[str, How], Hostile]
PARTS = ("root.json", "timestamp.json", ".snapshot.json", "kiosk.catalog.json", ".catalog.json",
         ".b.json", ".patch")  # fmt: skip


@pytest.fixture
def hostile(place: Place, vendor: Vendor) -> Iterator[Serve]:
    """Lets a device that is enrolled meet a hostile server."""
    made: list[Hostile] = []
    place.enroll()
    vendor.release({"engine": {**FIXED, "main.py": "VERSION = 'later'\n"}})

    def serve(part: str, how: How) -> Hostile:
        server = Hostile(vendor.public, part, how)
        made.append(server)
        enrolment = place.product.documents.enrolment()
        moved = msgspec.structs.replace(enrolment, repository=server.url)
        place.product.documents.set_enrolment(moved)
        return server

    yield serve
    for server in made:
        server.close()


def refused(place: Place) -> RepointError:
    with pytest.raises(RepointError) as caught:  # a patch is met by the second
        place.device.check(None)
        place.device.install(None, user_initiated=True)
    assert place.text() == "VERSION = 'old'\n"
    assert place.device.status(None).staged == ""
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_body_without_end_is_read_to_its_limit_and_no_further(
    place: Place, hostile: Serve, part: str
) -> None:
    server = hostile(part, pour)
    refused(place)
    # What lies in buffers on the way counts as sent: a few hundred KB each time it is tried.
    assert server.poured < 60 << 20
    assert sum(path.stat().st_size for path in place.folder.rglob("*") if path.is_file()) < 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("how", [drip, drip_headers])
def test_a_server_that_drips_is_given_up(
    place: Place, hostile: Serve, part: str, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.device.fetch.stall_timeout._WINDOW", 0.4)
    hostile(part, how)
    started = time.monotonic()
    error = refused(place)
    assert isinstance(error, NoNetworkError)
    assert "it responds too slowly" in str(error)
    assert time.monotonic() - started < 15


def test_headers_without_end_are_refused(place: Place, hostile: Serve) -> None:
    server = hostile("timestamp.json", pour_headers)
    refused(place)
    assert server.poured < 60 << 20


def test_a_server_cannot_make_a_device_wait_before_it_retries(place: Place, hostile: Serve) -> None:
    def later(server: Hostile, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(503)
        handler.send_header("Retry-After", "3600")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    hostile("timestamp.json", later)
    started = time.monotonic()
    refused(place)
    assert time.monotonic() - started < 15
