"""The CSAF advisories hold before those who wrote the standard, and before another's validator."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.publisher.feeds.support import ADDRESS, Told, faults

PROVIDER, FEED = "csaf/provider-metadata.json", "csaf/feed-tlp-white.json"


def advisory(told: Told, letter: str) -> Any:
    (path,) = told.folder.glob(f"csaf/*/*-{letter}-linux-x86_64-*.json")
    return told.json(str(path.relative_to(told.folder)))


def statuses(document: Any) -> dict[str, dict[str, set[str]]]:
    """Return the versions in each status, by the CVE id or another name of the vulnerability."""
    names = {}
    (vendor,) = document["product_tree"]["branches"]
    for version in vendor["branches"][0]["branches"]:
        for leaf in version["branches"]:
            names[leaf["product"]["product_id"]] = version["name"]
    return {
        each.get("cve") or each["ids"][0]["text"]: {
            status: {names[product] for product in products}
            for status, products in each["product_status"].items()
        }
        for each in document["vulnerabilities"]
    }


def test_the_documents_fit_the_schemas_of_the_standard(told: Told) -> None:
    paths = sorted(told.folder.glob("csaf/*/*.json"))
    assert len(paths) == 4
    for path in paths:
        assert faults("csaf.json", told.json(str(path.relative_to(told.folder)))) == []
    assert faults("csaf-provider.json", told.json(PROVIDER)) == []
    assert faults("csaf-rolie-feed.json", told.json(FEED)) == []


def test_a_validator_finds_that_every_mandatory_test_of_the_standard_passes(told: Told) -> None:
    validator = Path(sys.executable).with_name("csaf")
    for path in sorted(told.folder.glob("csaf/*/*.json")):
        done = subprocess.run(
            [validator, "validate", "--spec-version", "v20", "--preset", "mandatory",
             "--no-network", path],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "34 passed" in done.stdout


def test_an_advisory_says_of_each_version_whether_it_is_affected(told: Told) -> None:
    base, a, b = "26.3.1 (25D2128)", "26.3.1 (a) (25D2128)", "26.3.1 (b) (25D2128)"
    other = "26.3.0 (25D2000)"
    assert statuses(advisory(told, "b")) == {
        "CVE-2023-4863": {
            "fixed": {a, b},
            "known_affected": {base},
            "known_not_affected": {other},  # it has no engine
        },
        # In (a), the engine was fixed and the shell was not.
        "CVE-2026-1000": {"fixed": {b}, "known_affected": {base, a}},
        "acme-kiosk:26.3.1:b:1": {"fixed": {b}, "known_affected": {base, a}},
    }


def test_every_affected_version_has_an_action_and_every_other_a_reason(told: Told) -> None:
    for letter in "abcd":
        for each in advisory(told, letter)["vulnerabilities"]:
            status = each["product_status"]
            assert each["remediations"][0]["product_ids"] == status["known_affected"]
            flagged = each.get("flags", [{"product_ids": []}])[0]["product_ids"]
            assert flagged == status.get("known_not_affected", [])


def test_a_letter_that_is_not_offered_is_no_remedy(told: Told) -> None:
    remedies = {
        letter: {
            each.get("cve", ""): each["remediations"][0]
            for each in advisory(told, letter)["vulnerabilities"]
        }
        for letter in "abcd"
    }
    for letter in "abcd":
        remedy = remedies[letter]["CVE-2023-4863"]  # (a) and (b) fix it
        assert (remedy["category"], remedy["details"]) == ("vendor_fix", "Install 26.3.1 (b).")
    for letter, cve in (("c", "CVE-2026-2000"), ("d", "CVE-2026-4000")):
        assert remedies[letter][cve]["category"] == "none_available"
    halted = "The vendor has halted 26.3.1 (c): Fails on 3 % of devices"
    assert remedies["c"]["CVE-2026-2000"]["details"] == halted


def test_a_change_of_state_is_a_later_revision(told: Told) -> None:
    tracking = advisory(told, "a")["document"]["tracking"]
    first, *later = tracking["revision_history"]
    assert (first["number"], first["summary"]) == ("1.0.0", "Published.")
    assert "Withdrawn: Breaks <printing>" in [each["summary"] for each in later]
    assert later[-1]["summary"] == "26.3.1 (d): Paused."  # it may become the remedy
    assert later[-1]["number"] == tracking["version"]
    assert tracking["initial_release_date"] < tracking["current_release_date"]


def test_the_feed_leads_to_every_advisory_and_its_hashes(told: Told) -> None:
    assert told.json(PROVIDER)["canonical_url"] == f"{ADDRESS}/security/{PROVIDER}"
    rolie = told.json(PROVIDER)["distributions"][0]["rolie"]["feeds"][0]
    assert rolie["url"] == f"{ADDRESS}/security/{FEED}"
    entries = told.json(FEED)["feed"]["entry"]
    assert len(entries) == 4
    for entry in entries:
        source, *hashes = (file_of(told, link["href"]) for link in entry["link"])
        assert source == file_of(told, entry["content"]["src"])
        document = told.json(str(source.relative_to(told.folder)))
        assert document["document"]["tracking"]["id"] == entry["id"]
        for file in hashes:
            digest, name = file.read_text().split()
            algorithm = file.suffix.removeprefix(".")
            assert digest == hashlib.new(algorithm, source.read_bytes()).hexdigest()
            assert name == source.name


def file_of(told: Told, url: str) -> Path:
    assert url.startswith(f"{ADDRESS}/security/")
    return told.folder / unquote(urlsplit(url).path).partition("/security/")[2]
