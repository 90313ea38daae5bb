"""The signed list of current versions, for administrators' tools.

It is signed like the repository's metadata, with the key of the timestamp: that key says what is
current, and every change of the repository needs it, even a halt.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Signature

from repoint.publisher.feeds.encoding import address, encoded, moment
from repoint.publisher.feeds.known.facts import Facts, KnownBaseline, KnownImprovement, KnownProduct
from repoint.repository.repository import RoleSummary

VERSIONS = "versions.json"


class Sign(Protocol):
    """Signs a document, and raises `KeyProblemError` if a key is not available."""

    def __call__(self, data: bytes, /) -> list[Signature]:
        """Return the signatures."""


def versions_file(facts: Facts, timestamp: RoleSummary, known: bytes | None, sign: Sign) -> bytes:
    """Return the signed list.

    Args:
        facts: The facts.
        timestamp: The published state of the timestamp, whose version and expiry the list shares.
        known: The published list; kept if nothing changed, so that no key is needed.
        sign: Signs the canonical JSON of the list.

    Raises:
        KeyProblemError: A key that must sign is not available.
    """
    signed = {
        "_type": "repoint-versions",
        "format": "1.0",
        "version": timestamp.version,
        "expires": moment(int(timestamp.expires.timestamp())),
        "products": [_product(each) for each in facts.products],
    }
    if known is not None and _signed_part(known) == signed:
        return known
    canonical = encode_canonical(signed) or ""  # None only if it is given a function to call
    signatures = sign(canonical.encode())
    return encoded({"signatures": [each.to_dict() for each in signatures], "signed": signed})


def _signed_part(known: bytes) -> object:
    try:
        return msgspec.json.decode(known).get("signed")
    except (msgspec.DecodeError, AttributeError):
        return None


def _product(known: KnownProduct) -> dict[str, Any]:
    return {
        "product": known.product,
        "name": known.about.name,
        "vendor": known.about.vendor,
        "contact": known.about.contact,
        "baselines": [_baseline(known, baseline) for baseline in known.baselines],
    }


def _baseline(known: KnownProduct, baseline: KnownBaseline) -> dict[str, Any]:
    name = baseline.name
    letters = [each for each in known.improvements if each.baseline.name == name]
    offered = [each for each in letters if each.state == "offered"]
    return {
        "platform": name.platform,
        "version": name.version,
        "build": name.build,
        "retired": baseline.retired is not None,
        "current": offered[-1].label if offered else name.version,
        "improvements": [_improvement(each) for each in letters],
    }


def _improvement(known: KnownImprovement) -> dict[str, Any]:
    return {
        "label": known.label,
        "letter": known.letter,
        "state": known.state,
        "reason": known.reason,
        "since": known.changed,
        "published": known.published,
        "exploited": known.offer.urgency == "exploited",
        "in_steps": known.offer.rollout is not None,
        "cves": sorted(
            {cve for each in known.advisories for cve in each.advisory.cves()} - known.wrong
        ),
        "page": address(f"improvements/{known.id}.html"),
    }
