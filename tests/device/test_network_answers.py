"""What servers and the boxes in between answer: each is handled, or is one clear line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from repoint.device.errors import NoNetworkError, NotTrustedError, TryLaterError
from repoint.device.fetch.answers import LONGEST_WAIT, PageError, retry_after
from repoint.device.fetch.fetcher import Fetcher
from repoint.model.errors import RepointError
from tests.middlebox import (
    PAGE,
    Behaviour,
    Middlebox,
    ReceivedRequest,
    Reply,
    always,
    first,
    for_patches,
    honest,
    zipped,
)
from tests.places import Place
from tests.world import Vendor, big

DATA = big(5, 300_000)
HAVE = 100_000
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    (made / "x.patch").write_bytes(DATA)
    return made


def ranged(reply: Callable[[ReceivedRequest], Reply]) -> Behaviour:
    """Answer requests for a range so, and others honestly."""
    return lambda request: honest(request) if request.start is None else reply(request)


def part_of(request: ReceivedRequest, **headers: str) -> Reply:
    assert request.data is not None
    return Reply(
        206, request.data[request.start :], {k.replace("_", "-"): v for k, v in headers.items()}
    )


def multipart(request: ReceivedRequest) -> Reply:
    body = b"--X\r\nContent-Range: bytes 100000-299999/300000\r\n\r\n%s\r\n--X--\r\n"
    return Reply(206, body % DATA[HAVE:], {"Content-Type": "multipart/byteranges; boundary=X"})


def framed(reply: Reply, framing: str) -> Reply:
    return dataclasses.replace(reply, framing=framing)


def cut(reply: Reply, after: int | None) -> Reply:
    return dataclasses.replace(reply, sent=after)


RANGES: dict[str, tuple[Behaviour, int]] = {
    "honoured": (honest, 1),
    "ignored": (lambda request: Reply(200, DATA), 1),
    "ignored and chunked": (lambda request: framed(Reply(200, DATA), "chunked"), 1),
    "ignored and compressed": (zipped, 1),
    "416": (ranged(lambda request: Reply(416, b"", {"Content-Range": "bytes */300000"})), 2),
    "416 with a page": (ranged(lambda request: Reply(416, PAGE, HTML)), 2),
    "400": (ranged(lambda request: Reply(400, b"<html>Bad Request</html>", HTML)), 2),
    "403": (ranged(lambda request: Reply(403)), 2),
    "404": (ranged(lambda request: Reply(404)), 2),
    "405": (ranged(lambda request: Reply(405)), 2),
    "500": (ranged(lambda request: Reply(500)), 2),
    "501": (ranged(lambda request: Reply(501)), 2),
    "502": (ranged(lambda request: Reply(502)), 2),
    "204": (ranged(lambda request: Reply(204)), 2),
    "in several parts": (ranged(multipart), 2),
    "without Content-Range": (ranged(part_of), 2),
    "Content-Range in other letters": (
        ranged(lambda request: part_of(request, content_range="Bytes 100000-299999/300000")), 1,
    ),
    "of an unknown whole": (
        ranged(lambda request: part_of(request, Content_Range="bytes 100000-299999/*")), 1,
    ),
    "of another whole": (
        ranged(lambda request: part_of(request, Content_Range="bytes 100000-299999/400000")), 2,
    ),
    "another range": (
        ranged(lambda request: Reply(206, DATA, {"Content-Range": "bytes 0-299999/300000"})), 2,
    ),
    "compressed": (
        ranged(lambda request: part_of(request, Content_Range="bytes 100000-299999/300000",
                                     Content_Encoding="gzip")), 2,
    ),
    "chunked": (ranged(lambda request: framed(honest(request), "chunked")), 1),
    "closed at the end": (ranged(lambda request: framed(honest(request), "close")), 1),
    "reset once": (first(None), 2),
    "cut once": (lambda request: cut(honest(request), 5000 if request.number == 0 else None), 2),
}  # fmt: skip


@pytest.mark.parametrize("case", RANGES)
def test_a_download_is_completed_however_a_server_answers_a_range(
    tmp_path: Path, serve: Callable[[Behaviour], Middlebox], case: str
) -> None:
    behaviour, requests = RANGES[case]
    server, part = serve(behaviour), tmp_path / "part"
    part.write_bytes(DATA[:HAVE])
    Fetcher().download(f"{server.url}/x.patch", part, len(DATA))
    assert part.read_bytes() == DATA
    assert len(server.requests) == requests


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, PAGE, HTML),
        Reply(200, PAGE),
        Reply(200, b"\xef\xbb\xbf\n <HTML>" + PAGE * 20_000),
        Reply(200, PAGE, HTML, "chunked"),
        Reply(200, PAGE * 5000, HTML, "close"),
        Reply(200, b"Please log in", HTML),
        Reply(302, b"", {"Location": "/login"}),
        Reply(511, PAGE, HTML),
    ],
)
def test_a_page_in_the_place_of_a_file_costs_nothing_of_what_was_downloaded(
    tmp_path: Path, serve: Callable[[Behaviour], Middlebox], reply: Reply
) -> None:
    def portal(request: ReceivedRequest) -> Reply:
        return Reply(200, PAGE, HTML) if request.path == "/login" else reply

    server, part = serve(portal), tmp_path / "part"
    part.write_bytes(DATA[:HAVE])
    with pytest.raises(PageError, match="looks like a page that asks for a login"):
        Fetcher().download(f"{server.url}/x.patch", part, len(DATA))
    assert part.read_bytes() == DATA[:HAVE]
    server.behaviour = honest
    Fetcher().download(f"{server.url}/x.patch", part, len(DATA))
    assert part.read_bytes() == DATA
    assert [request.headers.get("Range") for request in server.requests][-1] == f"bytes={HAVE}-"


@pytest.mark.parametrize("number", [1, 20_000])
def test_a_file_of_another_size_never_stays_on_the_disk(
    tmp_path: Path, serve: Callable[[Behaviour], Middlebox], number: int
) -> None:
    for framing in ("length", "chunked"):
        server = serve(always(Reply(200, b"something else " * number, framing=framing)))
        part = tmp_path / "part"
        with pytest.raises(NotTrustedError, match="than its signed size"):
            Fetcher().download(f"{server.url}/x.patch", part, 200_000)
        assert part.stat().st_size == 0


@pytest.fixture
def behind(place: Place, vendor: Vendor) -> Iterator[Middlebox]:
    """An enrolled device that meets a middlebox instead of its repository."""
    place.enroll()
    vendor.release()
    server = Middlebox(vendor.public)
    enrolment = place.product.documents.enrolment()
    place.product.documents.set_enrolment(msgspec.structs.replace(enrolment, repository=server.url))
    yield server
    server.close()


def in_http10(server: Middlebox) -> None:
    server._server.RequestHandlerClass.protocol_version = "HTTP/1.0"  # type: ignore[attr-defined]


FINE: dict[str, Behaviour] = {
    "compressed": zipped,
    "chunked": lambda request: framed(honest(request), "chunked"),
    "without a length": lambda request: framed(honest(request), "close"),
    "reset once each": first(None),
    "busy once each": first(Reply(503)),
    "too many once": first(Reply(429, b"slow down", {"Retry-After": "0"})),
    "a page where nothing is": lambda request: (
        Reply(200, PAGE, HTML) if request.data is None else honest(request)
    ),
    "410 where nothing is": lambda request: Reply(410) if request.data is None else honest(request),
    "403 where nothing is": lambda request: Reply(403) if request.data is None else honest(request),
    "a weak entity tag": lambda request: Reply(
        honest(request).status, honest(request).body, {"ETag": 'W/"1"'}
    ),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("case", FINE)
def test_an_odd_server_serves_a_device_well(place: Place, behind: Middlebox, case: str) -> None:
    behind.behaviour = FINE[case]
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    assert place.device.status(None).staged == "26.3.1 (a)"


def test_a_server_of_http_1_0_serves_a_device_well(place: Place, behind: Middlebox) -> None:
    in_http10(behind)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    assert place.device.status(None).staged == "26.3.1 (a)"


LATER: dict[str, tuple[Reply, tuple[str, ...]]] = {
    "429": (Reply(429, b"", {"Retry-After": "600"}), ("too many requests", "Try again in 10 min")),
    "503": (Reply(503, b"", {"Retry-After": "3600"}), ("out of service", "Try again in 60 min")),
    "511": (Reply(511, PAGE, HTML), ("asks for a login", "Log in to this network")),
    "portal": (Reply(200, PAGE, HTML), ("asks for a login", "Log in to this network")),
    "portal in plain text": (
        Reply(200, b"Please log in", {"Content-Type": "text/plain"}),
        ("asks for a login", "Log in to this network"),
    ),
    "500": (Reply(500), ("status 500", "Try again later")),
    "502": (Reply(502, PAGE, HTML), ("status 502", "Try again later")),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("case", LATER)
def test_what_is_busy_or_wants_a_login_is_tried_again_later(
    place: Place, behind: Middlebox, case: str
) -> None:
    reply, message = LATER[case]
    behind.behaviour = always(reply)
    with pytest.raises(TryLaterError) as caught:
        place.device.check(None)
    assert all(words in str(caught.value) for words in message), str(caught.value)
    assert "\n" not in str(caught.value)
    behind.behaviour = honest
    place.device.check(None)
    behind.behaviour = for_patches(always(reply))
    with pytest.raises(TryLaterError) as caught:
        place.device.install(None, user_initiated=True)
    assert all(words in str(caught.value) for words in message), str(caught.value)
    behind.behaviour = honest
    place.device.install(None, user_initiated=True)
    assert place.device.status(None).staged == "26.3.1 (a)"


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "asks for a user name and a password"),
        (407, "The proxy asks for a user name and a password"),
        (400, "status 400"),
        (418, "status 418"),
        (204, "status 204"),
    ],
)
def test_another_status_is_one_line(
    place: Place, behind: Middlebox, status: int, message: str
) -> None:
    behind.behaviour = always(Reply(status))
    with pytest.raises(RepointError) as caught:
        place.device.check(None)
    assert message in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


NOW = dt.datetime(2026, 11, 29, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("31536000", LONGEST_WAIT),
        ("99999999999999999999", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("²", 0),
        (email.utils.format_datetime(NOW + dt.timedelta(minutes=3), usegmt=True), 180),
        (email.utils.format_datetime(NOW - dt.timedelta(minutes=3), usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Sunday, 29-Nov-26 12:03:00 GMT", 180),
        ("Sun, 29 Nov 99999 12:03:00 GMT", 0),
    ],
)
def test_retry_after_is_read_in_both_forms_and_limited(text: str, seconds: int) -> None:
    assert retry_after(text, now=NOW) == seconds


def test_a_pause_within_a_command_is_short_and_asked_for(place: Place, behind: Middlebox) -> None:
    behind.behaviour = first(Reply(503, b"", {"Retry-After": "1"}))
    fetcher = Fetcher()
    body, _ = fetcher.get_if_changed(f"{behind.url}/metadata/timestamp.json", "", 16384)
    assert body
    assert len(behind.requests) == 2


@pytest.mark.slow
def test_a_repository_that_resets_every_connection_is_one_line(
    place: Place, behind: Middlebox
) -> None:
    behind.behaviour = lambda request: None
    with pytest.raises(NoNetworkError, match="the connection was interrupted"):
        place.device.check(None)
