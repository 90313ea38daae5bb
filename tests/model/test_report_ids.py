"""The ids in reports, computed once more by hand: docs/formats.md, "The report"."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from repoint.model.report_ids import device_id, letter_id
from repoint.model.rollout import position

VECTORS = json.loads((Path(__file__).parent / "reports/ids.json").read_text())
BASELINE = BaselineName("linux-x86_64", "26.3.1", "25D2128")
SECRET = bytes(range(32))


@pytest.mark.parametrize("vector", VECTORS["letters"])
def test_the_id_of_a_letter_is_that_of_the_vectors(vector: dict[str, str]) -> None:
    baseline = BaselineName(vector["platform"], vector["version"], vector["build"])
    secret = bytes.fromhex(vector["secret"])
    assert letter_id(secret, vector["product"], baseline, vector["letter"]) == vector["id"]
    text = "\0".join(vector[name] for name in ("product", "platform", "version", "build", "letter"))
    digest = hmac.new(secret, b"repoint report 1\0" + text.encode(), hashlib.sha256)
    assert digest.hexdigest()[:32] == vector["id"]


@pytest.mark.parametrize("vector", VECTORS["devices"])
def test_the_id_of_a_device_is_that_of_the_vectors(vector: dict[str, str]) -> None:
    secret = bytes.fromhex(vector["secret"])
    assert device_id(secret, vector["product"], vector["token"]) == vector["device"]


def test_no_id_reveals_another_one_or_the_position_in_a_rollout() -> None:
    ids = {
        letter_id(SECRET, "acme-kiosk", BASELINE, "a"),
        letter_id(SECRET, "acme-kiosk", BASELINE, "b"),
        letter_id(SECRET, "acme-kiosk", BaselineName("linux-x86_64", "26.3.1", "25D2129"), "a"),
        letter_id(SECRET, "acme-kios", BASELINE, "a"),
        device_id(SECRET, "acme-kiosk", "a"),
        f"{position(SECRET, 'acme-kiosk', BASELINE, 'a'):016x}" + "0" * 16,
    }
    assert len(ids) == 6
    assert len({text[:16] for text in ids}) == 6
