"""What to do about an offered letter, from what its tests say, as a decision without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from repoint.fleet.guard.judgement import Finding
from repoint.fleet.records import FailureGroup, LetterName
from repoint.model.catalog import Offer
from repoint.model.report import TRANSIENT, Failure

Act = Literal["watch", "ask", "halt"]
"""``watch``: nothing is wrong. ``ask``: notify a person, who decides. ``halt``: stop it."""

_WORDS: dict[Failure, str] = {
    "network": "the network failed",
    "space": "the disk was full",
    "busy": "the device was busy",
    "untrusted": "a signature or hash did not hold",
    "unfit": "it did not fit the device",
    "decode": "a patch could not be decoded",
    "write": "the disk could not be written",
    "changed": "the files had been changed",
    "health": "the health check failed",
    "start": "the machine did not start to the end",
    "other": "another reason",
}


class Decision(msgspec.Struct, frozen=True):
    """What to do about one offer.

    Attributes:
        reason: Why, for people at devices and for operators; empty if it is only watched.
    """

    offer: Offer
    act: Act
    reason: str
    findings: tuple[Finding, ...]


def decide(
    offer: Offer,
    findings: Sequence[Finding],
    failures: Sequence[FailureGroup],
    *,
    halts_exploited: bool,
) -> Decision:
    """Decide what to do about an offer.

    Args:
        offer: The offer, which is offered and not halted.
        findings: What its tests say.
        failures: The failures of all letters of the product, for the reason.
        halts_exploited: Whether a letter whose fixes are exploited is halted too, instead of
            waiting for a person: without it, devices stay open to attacks that were seen.
    """
    bad = [finding for finding in findings if finding.verdict == "bad"]
    if not bad:
        return Decision(offer, "watch", "", tuple(findings))
    worst = max(bad, key=lambda finding: finding.progress)
    act: Act = "ask" if offer.urgency == "exploited" and not halts_exploited else "halt"
    return Decision(offer, act, _reason(offer, worst, failures), tuple(findings))


def _reason(offer: Offer, finding: Finding, failures: Sequence[FailureGroup]) -> str:
    where = f"{offer.baseline.platform} devices"
    if finding.ring:
        where += f" in the ring {finding.ring}"
    numbers = f"{finding.bad:,} of {finding.devices:,} {where}"
    if finding.subject == "silence":
        return f"{numbers} reported nothing more after staging it"
    why = _most_common(offer, failures)
    return f"It failed on {numbers}" + (f", mostly because {why}" if why else "")


def _most_common(offer: Offer, failures: Sequence[FailureGroup]) -> str:
    counts: dict[Failure, int] = {}
    for group in failures:
        if is_letter_of(group.letter, offer) and group.failure not in TRANSIENT:
            counts[group.failure] = counts.get(group.failure, 0) + group.devices
    known = [kind for kind in counts if kind != "other"]
    return _WORDS[max(known, key=lambda kind: counts[kind])] if known else ""


def is_letter_of(name: LetterName, offer: Offer) -> bool:
    """Return whether a letter of which there are reports is the letter of an offer."""
    baseline = offer.baseline
    return (name.platform, name.version, name.build, name.letter) == (
        baseline.platform,
        baseline.version,
        baseline.build,
        offer.letter,
    )
