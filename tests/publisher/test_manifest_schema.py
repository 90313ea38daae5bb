"""The documented schema of the manifest, for editors, is the one of the program.

Write it anew with ``python -m tests.publisher.test_manifest_schema``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from repoint.publisher.manifest.record import Manifest

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = DOCS / "schema" / "manifest.json"


def generated() -> bytes:
    """The JSON Schema of the record that the manifest is read into."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The manifest repoint.toml",
        **msgspec.json.schema(Manifest),
    }
    for record in schema["$defs"].values():
        # Editors show the descriptions of the fields.
        record.pop("description", None)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def test_the_schema_in_the_documentation_is_the_one_of_the_program() -> None:
    assert SCHEMA.read_bytes() == generated(), (
        "run `python -m tests.publisher.test_manifest_schema`"
    )


def test_the_schema_describes_every_field_and_permits_no_other() -> None:
    for record in definitions().values():
        assert record["additionalProperties"] is False
        assert all(field["description"] for field in record["properties"].values())


def test_every_field_is_described_in_the_documentation() -> None:
    section = (DOCS / "vendor.md").read_text().split("\n## The manifest\n")[1].split("\n## ")[0]
    described = set(re.findall(r"`((?:product|component|baseline)\.[a-z_]+)`", section))
    names = {"Product": "product", "ManifestComponent": "component", "ManifestBaseline": "baseline"}
    assert described == {
        f"{names[name]}.{field}"
        for name, record in definitions().items()
        if name in names
        for field in record["properties"]
    }


def definitions() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(generated())["$defs"]
    return found


if __name__ == "__main__":
    SCHEMA.write_bytes(generated())
