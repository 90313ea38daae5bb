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
from repoint.publisher.feeds.known.facts import Facts, KnownImprovement
from repoint.publisher.feeds.known.vulnerabilities import Line, lines_of

_VERSION = "1.7.5"
"""Source: https://ossf.github.io/osv-schema/, of January 2026."""

_MARKUP = re.compile(r"([\\`*_\[\]<>&#|~!])")
"""What Markdown may read as more than text."""


def osv_files(facts: Facts) -> dict[str, bytes]:
    """Return the OSV records and their index, by path below ``security/``."""
    lines = lines_of(facts)
    records = [_record(each, lines[each.id], facts.address) for each in facts.improvements]
    files = {f"osv/{record['id']}.json": encoded(record) for record in records}
    files["osv/index.json"] = encoded(
        [{"id": record["id"], "modified": record["modified"]} for record in records]
    )
    return files


def _record(improvement: KnownImprovement, line: Line, base: str) -> dict[str, Any]:
    fixes = improvement.own.fixes
    references = [{"type": "WEB", "url": url} for url in _once(fix.url for fix in fixes)]
    if base:
        page = f"{base}/security/{address(f'improvements/{improvement.id}.html')}"
        references.insert(0, {"type": "ADVISORY", "url": page})
    record: dict[str, Any] = {
        "schema_version": _VERSION,
        "id": f"x_{improvement.id}",
        "published": moment(improvement.published),
        "modified": moment(line.events(improvement)[-1][0]),
        "upstream": list(improvement.own.cves()),
        "summary": improvement.own.title,
        "details": _details(improvement),
        "affected": [_affected(improvement, line)],
        "references": references,
        "credits": [{"name": name, "type": "REPORTER"} for name in _once(f.credit for f in fixes)],
    }
    return {key: value for key, value in record.items() if value}


def _details(improvement: KnownImprovement) -> str:
    paragraphs = [f"{fix.impact}\n\n{fix.description}" for fix in improvement.own.fixes]
    return _MARKUP.sub(r"\\\1", "\n\n".join(paragraphs))


def _affected(improvement: KnownImprovement, line: Line) -> dict[str, Any]:
    name = improvement.baseline.name
    own = [
        each
        for each in line.vulnerabilities(improvement)
        if any(fix in improvement.own.fixes for fix in each.fixes)
    ]
    lacking = {
        e.label: len(e.earlier) for each in own for e in (*each.lacking, *each.affected_later)
    }
    versions = [name.version, *sorted(lacking, key=lambda label: lacking[label])]
    # It may lack its own fix: a later letter can say that its claim was wrong.
    not_fixed = [each.name for each in own if improvement in each.lacking]
    state = {"state": improvement.state, "reason": improvement.reason}
    return {
        "versions": [f"{version} ({name.build})" for version in versions],
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
                **({"not_fixed": not_fixed} if not_fixed else {}),
            },
        },
    }


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, texts)))
