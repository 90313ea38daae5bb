"""The end of a baseline's care, as the catalog says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog, Retirement
from repoint.model.encoding import decode_record
from repoint.model.errors import InvalidRecordError
from repoint.publisher.catalog.catalogs import read_catalog
from repoint.publisher.catalog.publish import publish
from repoint.publisher.errors import RetiredBaselineError, UnknownBaselineError
from tests.cli.command import refusal, repoint, works
from tests.world import NAME, OLD, PLATFORM, Vendor, no_passphrase

NEXT = BaselineName(PLATFORM, "27.0", "27A1")


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path)
    made.baseline()
    made.baseline({"engine": OLD, "shell": {"run": "x"}}, name=NEXT)
    return made


def test_a_retired_baseline_is_listed_with_time_and_reason_and_keeps_its_offers(
    vendor: Vendor,
) -> None:
    vendor.release()
    before = read_catalog(vendor.repository, vendor.product)
    vendor.publisher.retire(vendor.product, NAME, reason="Update to 27.0")
    after = read_catalog(vendor.repository, vendor.product)
    listed = after.listed(NAME)
    assert listed is not None
    assert listed.retired is not None
    assert listed.retired.reason == "Update to 27.0"
    assert listed.retired.since > before.offers[0].since
    assert after.offers == before.offers
    assert after.baselines[1] == before.baselines[1]


def test_a_retirement_can_be_taken_back_to_the_last_byte(vendor: Vendor) -> None:
    path = f"{vendor.product}/catalog.json"
    before = vendor.repository.read_target(path)
    assert b"retired" not in before
    vendor.publisher.retire(vendor.product, NAME)
    vendor.publisher.reinstate(vendor.product, NAME)
    assert vendor.repository.read_target(path) == before
    vendor.release()


def test_only_the_catalog_and_its_keys_are_used(vendor: Vendor) -> None:
    for role in ("root", "targets", vendor.product):
        (vendor.repository.path / "keys" / f"{role}.pem").unlink()
    vendor.publisher.retire(vendor.product, NAME)


def test_no_improvement_is_built_or_published_for_a_retired_baseline(vendor: Vendor) -> None:
    vendor.improve()
    vendor.publisher.retire(vendor.product, NAME)
    with pytest.raises(RetiredBaselineError, match="is retired"):
        vendor.improve()
    with pytest.raises(RetiredBaselineError, match="is retired"):
        publish(vendor.repository, vendor.product, passphrases=no_passphrase, now=1)
    vendor.publisher.reinstate(vendor.product, NAME)
    assert len(vendor.publisher.publish(vendor.product)) == 1


@pytest.mark.parametrize("twice", ["retire", "reinstate"])
def test_what_would_change_nothing_is_refused(vendor: Vendor, twice: str) -> None:
    if twice == "retire":
        vendor.publisher.retire(vendor.product, NAME)
    with pytest.raises(RetiredBaselineError, match=r"already retired|not retired"):
        getattr(vendor.publisher, twice)(vendor.product, NAME)


@pytest.mark.parametrize("reason", ["x" * 100_000, "two\nlines", "\u202egnp.exe", "\x1b[2J"])
def test_a_reason_that_devices_could_not_show_is_refused(vendor: Vendor, reason: str) -> None:
    with pytest.raises(InvalidRecordError, match="The reason"):
        vendor.publisher.retire(vendor.product, NAME, reason=reason)


def test_an_unknown_baseline_cannot_be_retired(vendor: Vendor) -> None:
    with pytest.raises(UnknownBaselineError, match="has no baseline 1"):
        vendor.publisher.retire(vendor.product, BaselineName(PLATFORM, "1", "1"))


def test_a_catalog_without_the_field_is_still_read() -> None:
    name = '{"platform":"linux-x86_64","version":"1","build":"1"}'
    listed = f'{{"name":{name},"seals":{{}}%s}}'
    text = '{"format":"1.0","product":"p","baselines":[%s]}'
    old = decode_record((text % (listed % "")).encode(), Catalog, "catalog")
    new = decode_record((text % (listed % ',"retired":{"since":5}')).encode(), Catalog, "catalog")
    assert old.baselines[0].retired is None
    assert new.baselines[0].retired == Retirement(5)


@pytest.mark.slow
def test_the_commands_retire_show_and_reinstate(vendor: Vendor) -> None:
    where = ("--repository", vendor.repository.path)
    named = (vendor.product, "--version", "26.3.1", *where)
    message = works("baseline", "retire", *named, "--reason", "Update to 27.0")
    assert message == f"Retired {vendor.product} {NAME}. Its improvements stay on offer.\n"
    shown = works("show", *where)
    assert f"baseline {NAME}: engine; retired on 20" in shown
    assert shown.count("Update to 27.0") == 1
    refusal(repoint("baseline", "retire", *named), "already retired", "reinstate")
    assert works("baseline", "reinstate", *named) == f"Reinstated {vendor.product} {NAME}.\n"
    assert "retired" not in works("show", *where)
