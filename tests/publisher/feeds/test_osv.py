"""The OSV records fit the schema, and say which versions have what."""

from __future__ import annotations

from typing import Any

from tests.publisher.feeds.support import ADDRESS, Told, faults


def record(told: Told, letter: str) -> Any:
    return told.json(f"osv/x_{told.improvements[letter].id}.json")


def test_every_record_fits_the_schema_and_the_index_lists_it(told: Told) -> None:
    index = told.json("osv/index.json")
    assert [entry["id"] for entry in index] == [
        f"x_{told.improvements[letter].id}" for letter in "dcba"
    ]
    for entry in index:
        found = told.json(f"osv/{entry['id']}.json")
        assert faults("osv.json", found) == []
        assert found["modified"] == entry["modified"]


def test_a_record_is_about_what_its_own_letter_fixes(told: Told) -> None:
    found = record(told, "b")
    assert found["upstream"] == ["CVE-2026-1000"]
    assert found["affected"][0]["versions"] == ["26.3.1 (25D2128)", "26.3.1 (a) (25D2128)"]
    where = found["affected"][0]["database_specific"]
    assert where["fixed_in"]["version"] == "26.3.1 (b) (25D2128)"
    assert where["fixed_in"]["exploited"] is True
    assert found["credits"] == [{"name": "Jane <b>Doe</b> of Example Labs", "type": "REPORTER"}]
    page, more = (reference["url"] for reference in found["references"])
    assert page == f"{ADDRESS}/security/improvements/{told.improvements['b'].id}.html"
    assert more == "https://acme.example/a?b=1&c=2"


def test_text_from_outside_is_no_markdown(told: Told) -> None:
    details = record(told, "b")["details"]
    assert r"\<img src=x onerror=alert(1)\>" in details
    assert r"The lock was \*mended\*." in details


def test_a_letter_that_is_not_offered_is_no_fix_and_the_vulnerability_stays(told: Told) -> None:
    for letter, state in (("a", "withdrawn"), ("c", "halted"), ("d", "paused")):
        found = record(told, letter)
        assert found["affected"][0]["database_specific"]["fixed_in"]["state"] == state
        assert "withdrawn" not in found
        assert found["modified"] > found["published"]
