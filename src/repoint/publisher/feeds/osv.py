"""The OSV records: one for each improvement, of what its own letter fixes.

No ecosystem of OSV names products of vendors, so a record has no package: it lists versions and
says in ``database_specific`` what they are versions of. The ids have OSV's prefix for databases of
one's own.

A record is never marked as withdrawn. In OSV that says that there is no vulnerability; a withdrawn
improvement says that there is no fix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from repoint.publisher.feeds.encoding import address, encoded, moment
from repoint.publisher.feeds.facts import Facts, KnownImprovement
from repoint.publisher.feeds.vulnerabilities import vulnerabilities

_VERSION = "1.7.5"
"""Source: https://ossf.github.io/osv-schema/, of January 2026."""

_MARKUP = re.compile(r"([\\`*_\[\]<>&#|~!])")
"""What Markdown may read as more than text."""


def osv_files(facts: Facts) -> dict[str, bytes]:
    """Return the OSV records and their index, by path below ``security/``."""
    records = [_record(each, facts.address) for each in facts.improvements]
    files = {f"osv/{record['id']}.json": encoded(record) for record in records}
    files["osv/index.json"] = encoded(
        [{"id": record["id"], "modified": record["modified"]} for record in records]
    )
    return files


def _record(improvement: KnownImprovement, base: str) -> dict[str, Any]:
    fixes = improvement.own.fixes
    references = [{"type": "WEB", "url": url} for url in _once(fix.url for fix in fixes)]
    if base:
        page = f"{base}/security/{address(f'improvements/{improvement.id}.html')}"
        references.insert(0, {"type": "ADVISORY", "url": page})
    record: dict[str, Any] = {
        "schema_version": _VERSION,
        "id": f"x_{improvement.id}",
        "published": moment(improvement.published),
        "modified": moment(improvement.changed),
        "upstream": list(improvement.own.cves()),
        "summary": improvement.own.title,
        "details": _details(improvement),
        "affected": [_affected(improvement)],
        "references": references,
        "credits": [{"name": name, "type": "REPORTER"} for name in _once(f.credit for f in fixes)],
    }
    return {key: value for key, value in record.items() if value}


def _details(improvement: KnownImprovement) -> str:
    paragraphs = [f"{fix.impact}\n\n{fix.description}" for fix in improvement.own.fixes]
    return _MARKUP.sub(r"\\\1", "\n\n".join(paragraphs))


def _affected(improvement: KnownImprovement) -> dict[str, Any]:
    name = improvement.baseline.name
    own = set(improvement.own.cves())
    lacking = {
        earlier.letter
        for each in vulnerabilities(improvement)
        if each.name in own or each.name.startswith(f"{improvement.letter}:")
        for earlier in each.lacking
    }
    versions = [f"{name.version} ({name.build})"]
    versions += [f"{e.label} ({name.build})" for e in improvement.earlier if e.letter in lacking]
    state = {"state": improvement.state, "reason": improvement.reason}
    return {
        "versions": versions,
        "database_specific": {
            "product": improvement.product,
            "platform": name.platform,
            "version": name.version,
            "build": name.build,
            "components": list(_once(fix.component for fix in improvement.own.fixes)),
            "fixed_in": {
                "version": f"{improvement.label} ({name.build})",
                "exploited": improvement.offer.urgency == "exploited",
                **{key: value for key, value in state.items() if value},
            },
        },
    }


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, texts)))
