"""The CSAF 2.0 advisories: one for each improvement, with a VEX statement about each version.

A document says what is fixed in the improvement and in which earlier versions it is not. It is a
security advisory by its category, and has what the profile of VEX requires too.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from repoint.model.baseline import About, BaselineName, RestartScope
from repoint.publisher.feeds.encoding import address, moment
from repoint.publisher.feeds.known.facts import Facts, KnownImprovement
from repoint.publisher.feeds.known.vulnerabilities import Line, Vulnerability

Json = dict[str, Any]

_RESTARTS: dict[RestartScope, str] = {
    "none": "none",
    "app": "vulnerable_component",
    "service": "service",
    "session": "parent",
    "system": "system",
}
"""What CSAF calls the scopes of a restart, the narrowest first."""


def csaf_path(improvement: KnownImprovement) -> str:
    """Return the path of an advisory below ``security/``, whose name CSAF derives from the id."""
    name = re.sub(r"[^+\-a-z0-9]+", "_", improvement.id.lower())
    return f"csaf/{moment(improvement.published)[:4]}/{name}.json"


def publisher_of(facts: Facts, about: About, product: str) -> Json:
    """Return who publishes an advisory; without the vendor's name, that of the product stands."""
    parts = urlsplit(facts.address)
    publisher = {
        "category": "vendor",
        "name": about.vendor or about.name or product,
        "namespace": f"{parts.scheme}://{parts.netloc}",
        "contact_details": about.contact,
    }
    return {key: value for key, value in publisher.items() if value}


def advisory(facts: Facts, improvement: KnownImprovement, line: Line) -> Json:
    """Return the CSAF advisory of an improvement in the line of its baseline."""
    products = _Products(improvement)
    found = [
        _vulnerability(improvement, products, each, facts)
        for each in line.vulnerabilities(improvement)
    ]
    return {
        "document": _document(facts, improvement, line),
        "product_tree": {"branches": [products.tree()]},
        "vulnerabilities": found,
    }


def _document(facts: Facts, improvement: KnownImprovement, line: Line) -> Json:
    notes = [{"category": "summary", "title": "Summary", "text": improvement.own.title}]
    if improvement.state != "offered":
        notes.append({"category": "general", "title": "State", "text": state_text(improvement)})
    base = f"{facts.address}/security"
    page = f"{base}/{address(f'improvements/{improvement.id}.html')}"
    return {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "distribution": {"tlp": {"label": "WHITE"}},
        "notes": notes,
        "publisher": publisher_of(facts, improvement.about, improvement.product),
        "references": [
            {
                "category": "self",
                "summary": "This advisory",
                "url": f"{base}/{address(csaf_path(improvement))}",
            },
            {"category": "self", "summary": "This advisory as a page", "url": page},
        ],
        "title": f"{improvement.full_title}: {improvement.own.title}",
        "tracking": _tracking(improvement, line),
    }


def _tracking(improvement: KnownImprovement, line: Line) -> Json:
    """Return the revisions. A number counts seconds, so it grows although events are forgotten."""
    events: dict[int, list[str]] = {}
    for at, text in line.events(improvement):
        events.setdefault(at, []).append(text)
    history = [
        {
            "date": moment(at),
            "number": f"1.{at - improvement.published}.0",
            "summary": " ".join(texts),
        }
        for at, texts in events.items()
    ]
    return {
        "id": improvement.id,
        "status": "final",
        "version": history[-1]["number"],
        "initial_release_date": moment(improvement.published),
        "current_release_date": history[-1]["date"],
        "revision_history": history,
        "generator": {"engine": {"name": "Repoint"}},
    }


class _Products:
    """The versions that an advisory is about, with the ids that they have in it."""

    def __init__(self, improvement: KnownImprovement) -> None:
        self._improvement = improvement
        self._ids: dict[tuple[BaselineName, str], str] = {}

    def id(self, name: BaselineName, letter: str = "") -> str:
        """Return the id of a baseline, or of a letter of it."""
        number = len(self._ids) + 1
        return self._ids.setdefault((name, letter), f"CSAFPID-{number:04}")

    def tree(self) -> Json:
        """Return the branch of the vendor, with every version that has an id."""
        about = self._improvement.about
        versions: dict[str, list[Json]] = {}
        for (name, letter), product_id in self._ids.items():
            version = f"{name.version} ({letter})" if letter else name.version
            leaf = {
                "category": "architecture",
                "name": name.platform,
                "product": {
                    "product_id": product_id,
                    "name": f"{self._improvement.product_name} {version} ({name.build}) for "
                    f"{name.platform}",
                },
            }
            versions.setdefault(f"{version} ({name.build})", []).append(leaf)
        return {
            "category": "vendor",
            "name": about.vendor or self._improvement.product_name,
            "branches": [
                {
                    "category": "product_name",
                    "name": self._improvement.product_name,
                    "branches": [
                        {"category": "product_version", "name": version, "branches": leaves}
                        for version, leaves in versions.items()
                    ],
                }
            ],
        }


def _vulnerability(
    improvement: KnownImprovement, products: _Products, found: Vulnerability, facts: Facts
) -> Json:
    name = improvement.baseline.name
    affected = [products.id(name), *(products.id(name, e.letter) for e in found.lacking)]
    fixed = [products.id(name, each.letter) for each in found.holding]
    unaffected = [products.id(base.name) for base in found.unaffected]
    status = {
        "fixed": fixed, "known_affected": affected, "known_not_affected": unaffected,
    }  # fmt: skip
    result: Json = {
        **_names(improvement, found),
        "title": found.fixes[0].impact,
        "notes": [
            {
                "category": "description",
                "title": improvement.about.component(fix.component),
                "text": fix.description,
            }
            for fix in found.fixes
        ],
        "product_status": {key: ids for key, ids in status.items() if ids},
        "remediations": _remediations(improvement, found, affected, facts),
        "threats": [
            {"category": "impact", "details": impact}
            for impact in dict.fromkeys(fix.impact for fix in found.fixes)
        ],
        "acknowledgments": [
            {"summary": credit} for credit in dict.fromkeys(f.credit for f in found.fixes) if credit
        ],
        "references": [
            {"category": "external", "summary": "More about it", "url": url}
            for url in dict.fromkeys(fix.url for fix in found.fixes)
            if url
        ],
    }
    if unaffected:
        flag = {"label": "component_not_present", "product_ids": unaffected}
        result["flags"] = [flag]
    own = any(fix in improvement.own.fixes for fix in found.fixes)
    if improvement.offer.urgency == "exploited" and own:
        seen = {"category": "exploit_status", "details": "Attacks were seen."}
        result["threats"].append(seen)
    return {key: value for key, value in result.items() if value}


def _names(improvement: KnownImprovement, found: Vulnerability) -> Json:
    if found.cve:
        return {"cve": found.cve}
    text = f"{improvement.product}:{improvement.baseline.name.version}:{found.name}"
    return {"ids": [{"system_name": "Repoint", "text": text}]}


def _remediations(
    improvement: KnownImprovement, found: Vulnerability, affected: list[str], facts: Facts
) -> list[Json]:
    """Return what to do about each affected version; devices never go back to an earlier letter."""
    remedy = found.remedy
    if remedy is None:
        return [_nothing_helps(improvement, found, affected)]
    before = 1 + sum(len(each.earlier) < len(remedy.earlier) for each in found.lacking)
    helped, later = affected[:before], affected[before:]
    restarts = remedy.baseline.restarts
    scopes = [_RESTARTS[restarts[component]] for component in remedy.fixes[found.name]]
    widest = max(scopes, key=list(_RESTARTS.values()).index)
    fix = {
        "category": "vendor_fix",
        "details": f"Install {remedy.label}.",
        "product_ids": helped,
        "restart_required": {"category": widest},
        "url": f"{facts.address}/security/{address(f'improvements/{remedy.id}.html')}",
    }
    return [fix, *([_nothing_helps(improvement, found, later)] if later else [])]


def _nothing_helps(
    improvement: KnownImprovement, found: Vulnerability, affected: list[str]
) -> Json:
    if improvement in found.holding:
        details = state_text(improvement)
    elif found.wrong:
        details = "No improvement fixes it. It was said in error that one does."
    elif found.name in improvement.dropped:
        details = f"{improvement.label} knowingly lacks this fix."
    else:
        details = "No improvement on offer fixes it in every component."
    return {"category": "none_available", "details": details, "product_ids": affected}


def state_text(improvement: KnownImprovement) -> str:
    """Return a sentence that says why an improvement is not offered; empty if it is."""
    if improvement.state == "offered":
        return ""
    because = f": {improvement.reason}" if improvement.reason else "."
    return f"The vendor has {improvement.state} {improvement.label}{because}"
