"""Asking for news costs one conditional request, and nothing is missed by it."""

from __future__ import annotations

import datetime as dt

import pytest

from repoint.device.errors import StaleRepositoryError
from tests.clock import set_clock
from tests.device.conftest import Place
from tests.serving import WebServer
from tests.world import Vendor, no_passphrase


@pytest.fixture
def idle(place: Place, vendor: Vendor, server: WebServer) -> Place:
    place.enroll()
    vendor.release()
    place.device.check(None)
    server.requests.clear()
    return place


def test_an_idle_check_is_one_request_without_a_body(idle: Place, server: WebServer) -> None:
    checked = idle.device.check(None)
    assert [(r.path, r.status) for r in server.requests] == [("/metadata/timestamp.json", 304)]
    assert (checked.requests, checked.received) == (1, 0)
    assert checked.offer is not None  # what was found before is still known


def test_without_entity_tags_an_idle_check_is_still_one_request_below_one_kibibyte(
    idle: Place, server: WebServer
) -> None:
    server.etags = False
    checked = idle.device.check(None)
    assert [r.path for r in server.requests] == ["/metadata/timestamp.json"]
    assert 0 < checked.received < 1024


def test_a_new_improvement_is_noticed(idle: Place, vendor: Vendor) -> None:
    vendor.release({"engine": {"main.py": "b\n"}}, "CVE-2023-0002")
    checked = idle.device.check(None)
    assert checked.offer is not None
    assert checked.offer.letter == "b"


def test_a_rotated_root_is_noticed_although_nothing_else_changed(
    idle: Place, vendor: Vendor, server: WebServer
) -> None:
    with vendor.repository.publication(no_passphrase) as publication:
        key = publication.new_key_file("root", None)
        publication.rotate("root", [(key.uri, key.key)])
    idle.device.check(None)
    assert "/metadata/2.root.json" in {r.path for r in server.requests if r.status == 200}


def test_an_expired_timestamp_is_never_idle_whatever_the_server_says(
    idle: Place, vendor: Vendor, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A year and more later the server still answers "not changed".
    set_clock(monkeypatch, dt.timedelta(days=400))
    with pytest.raises(StaleRepositoryError, match="expired"):
        idle.device.check(None)
    last = idle.device.status(None).last_check
    assert last is not None
    assert "expired" in last.error


def test_a_check_that_broke_off_half_way_is_made_up_for(
    place: Place, vendor: Vendor, server: WebServer
) -> None:
    from repoint.model.errors import RepointError

    place.enroll()
    vendor.release()
    server.alter = lambda path, data: b"" if "improvements" in path else data
    with pytest.raises(RepointError):
        place.device.check(None)
    server.alter = lambda path, data: data
    checked = place.device.check(None)
    assert checked.improvement is not None
