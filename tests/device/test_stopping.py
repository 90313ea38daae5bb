"""Stopping an installation for which nothing comes any more."""

from __future__ import annotations

import random

import pytest

from repoint.device.errors import CancelledError
from tests.device.conftest import Place
from tests.world import FIXED, Vendor


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("longer_than", "stalls"), [(100, "/metadata/timestamp.json"), (100_000, ".patch")]
)
def test_an_installation_is_stopped_while_nothing_comes(
    place: Place, vendor: Vendor, longer_than: int, stalls: str
) -> None:
    place.enroll()
    vendor.release({"engine": {**FIXED, "lib/new.so": random.Random(4).randbytes(300_000)}})
    place.device.check(None)
    server = place.server
    server.stall_after.append(longer_than)

    seen = [-1]

    def stop_when_nothing_comes(step: str, done: int, total: int) -> None:
        if server.stalled and done == seen[-1]:
            raise CancelledError("Stopped")
        seen.append(done)

    with pytest.raises(CancelledError):
        place.device.install(None, user_initiated=True, progress=stop_when_nothing_comes)
    assert [path.endswith(stalls) for path in server.stalled] == [True]
    server.go_on.set()
    server.requests.clear()
    place.device.install(None, user_initiated=True)
    assert place.device.status(None).staged == "26.3.1 (a)"
    begun = [r.range for r in server.requests if r.path.endswith(".patch")]
    assert begun == [f"bytes={longer_than}-" if stalls == ".patch" else ""]
