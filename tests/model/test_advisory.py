from __future__ import annotations

import msgspec
import pytest

from repoint.model.advisory import MAX_CVES, MAX_FIXES, MAX_LENGTH, Advisory, Fix, check_cve
from repoint.model.errors import InvalidRecordError

FIX = Fix(
    cves=("CVE-2023-4863",),
    component="pillow",
    impact="Opening a malicious image may run code of the attacker's choice",
    description="A heap buffer overflow was addressed.\n\tTwo lines.",
)


def fix(**fields: object) -> Fix:
    return Fix(**{**msgspec.structs.asdict(FIX), **fields})


def test_an_advisory_survives_its_json_form() -> None:
    advisory = Advisory("Security update", (FIX, fix(credit="Zoë ✓", cves=())))
    data = msgspec.json.encode(advisory)
    assert msgspec.json.decode(data, type=Advisory) == advisory


def test_the_cves_come_once_in_their_order() -> None:
    fixes = (fix(cves=("CVE-2024-1000", "CVE-2023-4863")), fix(cves=("CVE-2023-4863",)))
    assert Advisory("t", (*fixes, fix(cves=("CVE-2020-0001",)))).cves() == (
        "CVE-2024-1000",
        "CVE-2023-4863",
        "CVE-2020-0001",
    )


@pytest.mark.parametrize("good", ["CVE-2023-4863", "CVE-1999-0001", "CVE-2024-1234567"])
def test_a_cve_id_is_accepted(good: str) -> None:
    assert check_cve(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "CVE-2023-486",
        "cve-2023-4863",
        "CVE-23-4863",
        "2023-4863",
        "",
        "CVE-2023-4863 ",
        "CVE-2023-٤٨٦٣",
        "CVE-2023-4863\n",
        "CVE-2023-" + "1" * 20,
    ],
)
def test_what_is_no_cve_id_is_refused(bad: str) -> None:
    with pytest.raises(InvalidRecordError, match=r"is not a CVE id\. Write it as CVE-2023-4863"):
        fix(cves=(bad,))


def test_a_cve_id_in_small_letters_is_answered_with_its_own_number() -> None:
    with pytest.raises(InvalidRecordError, match=r"Write it as CVE-2020-12345$"):
        fix(cves=("cve-2020-12345",))


def test_a_cve_id_twice_in_one_fix_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="CVE-2023-4863 is listed twice"):
        fix(cves=("CVE-2023-4863", "CVE-2024-1000", "CVE-2023-4863"))


def test_a_name_that_no_component_may_have_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="cannot name a component"):
        fix(component="../pillow")


@pytest.mark.parametrize("field", ["impact", "description"])
@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_refused(field: str, text: str) -> None:
    with pytest.raises(InvalidRecordError, match=f"The {field} is empty"):
        fix(**{field: text})


@pytest.mark.parametrize("field", ["impact", "description", "credit"])
@pytest.mark.parametrize(
    "character", ["\x1b", "\r", "\0", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028", "\ud800"]
)
def test_a_character_that_could_mislead_is_refused(field: str, character: str) -> None:
    with pytest.raises(
        InvalidRecordError, match=rf"The {field} contains .* U\+{ord(character):04X}"
    ):
        fix(**{field: f"a{character}b"})
    with pytest.raises(InvalidRecordError, match="The title contains"):
        Advisory(f"a{character}b", (FIX,))


@pytest.mark.parametrize("field", ["impact", "description", "credit"])
def test_a_text_may_be_as_long_as_the_limit_but_not_longer(field: str) -> None:
    assert fix(**{field: "x" * MAX_LENGTH[field]})
    with pytest.raises(InvalidRecordError, match=f"The {field} is longer than"):
        fix(**{field: "x" * (MAX_LENGTH[field] + 1)})


@pytest.mark.parametrize("title", ["", "  ", "x" * 201, "two\nlines"])
def test_a_title_that_is_no_line_is_refused(title: str) -> None:
    with pytest.raises(InvalidRecordError, match="The title"):
        Advisory(title, (FIX,))


def test_an_advisory_without_a_fix_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="has no fix"):
        Advisory("Title", ())


def test_too_many_fixes_or_cves_are_refused() -> None:
    with pytest.raises(InvalidRecordError, match="more than 1,000 fixes"):
        Advisory("Title", (FIX,) * (MAX_FIXES + 1))
    with pytest.raises(InvalidRecordError, match="more than 500 CVE ids"):
        fix(cves=tuple(f"CVE-2023-{n:05}" for n in range(MAX_CVES + 1)))


def test_the_records_are_checked_when_they_come_over_the_network_too() -> None:
    data = msgspec.json.encode(Advisory("Title", (FIX,)))
    with pytest.raises(InvalidRecordError, match="is not a CVE id"):
        msgspec.json.decode(data.replace(b"4863", b"4"), type=Advisory)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(data.replace(b'"impact"', b'"more":1,"impact"'), type=Advisory)
