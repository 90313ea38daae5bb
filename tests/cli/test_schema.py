"""The documented schema of ``repoint status --json`` is what the command prints.

Write it anew with ``python -m tests.cli.test_schema``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from repoint.agent.overview.overview import StatusReport

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = DOCS / "schema" / "status.json"


def generated() -> bytes:
    """The JSON Schema of the record that the command prints."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What repoint status --json prints",
        **msgspec.json.schema(StatusReport),
    }
    for record in schema["$defs"].values():
        # Only the first paragraph: the attributes are described in docs/formats.md.
        if "description" in record:
            record["description"] = " ".join(record["description"].split("\n\n")[0].split())
        # The command always prints all of them.
        record["required"] = list(record["properties"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def test_the_schema_in_the_documentation_is_the_one_of_the_program() -> None:
    assert SCHEMA.read_bytes() == generated(), "run `python -m tests.cli.test_schema`"


def test_every_field_of_the_status_is_described_in_the_documentation() -> None:
    pages = (DOCS / "formats.md").read_text()
    section = pages.split("### `status --json`")[1].split("\n### ")[0]
    described = set(re.findall(r"^\| `([a-z_.\[\]]+)`", section, flags=re.MULTILINE))
    assert described == set(_fields(msgspec.json.decode(generated())))


def _fields(schema: dict[str, Any]) -> list[str]:
    """``exposed[].pid`` and the like; a record itself only where it can be missing."""
    return _below(schema, schema, "")


def _below(schema: dict[str, Any], kind: dict[str, Any], path: str) -> list[str]:
    if "anyOf" in kind:
        record = next((each for each in kind["anyOf"] if "$ref" in each), None)
        return [path, *_below(schema, record, path)] if record is not None else [path]
    if "$ref" in kind:
        record = schema["$defs"][kind["$ref"].rpartition("/")[2]]
        prefix = f"{path}." if path else ""
        inner = record["properties"].items()
        return [field for name, each in inner for field in _below(schema, each, prefix + name)]
    if kind.get("type") == "array":
        return _below(schema, kind["items"], f"{path}[]")
    return [path]


if __name__ == "__main__":
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_bytes(generated())
