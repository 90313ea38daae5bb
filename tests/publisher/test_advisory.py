from __future__ import annotations

from pathlib import Path

import pytest

from repoint.model.advisory import Advisory, Fix
from repoint.publisher.advisory_file import AdvisoryError, read_advisory

GOOD = '''
title = "Security update for image decoding"
[[fix]]
cves = ["CVE-2023-4863"]
component = "pillow"
impact = "Opening a malicious image may run code of the attacker's choice"
description = """
A heap buffer overflow in libwebp
was addressed by updating it to 1.3.2.
"""
credit = "Apple Security Engineering and Architecture (SEAR)"
[[fix]]
cves = []
component = "engine"
impact = "None"
description = "Hardening"
'''


def read(tmp_path: Path, text: str | bytes) -> Advisory:
    path = tmp_path / "advisory.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_advisory(path, {"pillow", "engine"})


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(AdvisoryError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_an_advisory_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == Advisory(
        "Security update for image decoding",
        (
            Fix(
                cves=("CVE-2023-4863",),
                component="pillow",
                impact="Opening a malicious image may run code of the attacker's choice",
                description="A heap buffer overflow in libwebp\n"
                "was addressed by updating it to 1.3.2.",
                credit="Apple Security Engineering and Architecture (SEAR)",
            ),
            Fix(cves=(), component="engine", impact="None", description="Hardening"),
        ),
    )


def test_a_malformed_cve_id_is_reported_with_its_fix_and_how_to_write_it(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD.replace("4863", "486")) == (
        "advisory.toml: fix 1: 'CVE-2023-486' is not a CVE id. Write it as CVE-2023-4863"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Security update for image decoding"', "", "advisory.toml: 'title' is missing"),
        ('"Security update for image decoding"', "3", "advisory.toml: 'title' is not a string"),
        ('"Security update for image decoding"', '" "', "advisory.toml: The title is empty"),
        ("title", 'date = "x"\ntitle', "advisory.toml: the field 'date' is unknown. Use only"),
        (
            'component = "engine"',
            'component = "engin"',
            "fix 2: 'engin' is not a component of the baseline. Use",
        ),
        ('component = "engine"', "", "fix 2: 'component' is missing. Add component = …"),
        ('component = "engine"', "component = []", "fix 2: 'component' is not a string"),
        ("cves = []", "", "fix 2: 'cves' is missing"),
        ("cves = []", 'cves = "CVE-2023-4863"', "fix 2: 'cves' is not a list of strings"),
        ("cves = []", "cves = [4863]", "fix 2: 'cves' is not a list of strings"),
        (
            '["CVE-2023-4863"]',
            '["CVE-2023-4863", "CVE-2023-4863"]',
            "fix 1: CVE-2023-4863 is listed",
        ),
        ('"None"', '""', "fix 2: The impact is empty"),
        ('"None"', '"a\\u001b[2J"', "fix 2: The impact contains the control character U+001B"),
        ('"Hardening"', "true", "fix 2: 'description' is not a string"),
        ('description = "Hardening"', "", "fix 2: 'description' is missing"),
        ('description = "Hardening"', 'details = "x"', "fix 2: the field 'details' is unknown"),
        ('"Apple Security', '"\\u202eApple', "fix 1: The credit contains"),
    ],
)
def test_a_wrong_field_is_reported_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    assert message in refusal(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize("fixes", ["", "fix = 3", "fix = [3]", '[fix]\ncves = ["CVE-2023-4863"]'])
def test_an_advisory_whose_fixes_are_none_says_how_to_begin_one(tmp_path: Path, fixes: str) -> None:
    assert "Start each fix with [[fix]]" in refusal(tmp_path, f'title = "x"\n{fixes}\n')


def test_an_empty_list_of_fixes_is_refused(tmp_path: Path) -> None:
    assert "It has no fix" in refusal(tmp_path, 'title = "x"\nfix = []')


def test_a_file_that_is_no_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'title = "x"\ncves = [\n')
    assert message.startswith("advisory.toml: not TOML: ")
    assert "line" in refusal(tmp_path, 'title = "x"\nnonsense\n')


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AdvisoryError, match=r"missing\.toml cannot be read: No such file"):
        read_advisory(tmp_path / "missing.toml", ())
    with pytest.raises(AdvisoryError, match="cannot be read: Is a directory"):
        read_advisory(tmp_path, ())
    assert "not UTF-8" in refusal(tmp_path, b"\xff")
    assert "larger than" in refusal(tmp_path, b"#" * 5_000_000)
    assert "not TOML: it is nested" in refusal(tmp_path, "a = " + "[" * 100_000)
    assert "not TOML: a number is too long" in refusal(tmp_path, "a = " + "9" * 5000)
