"""What a reader does with documents of every format number: docs/formats.md, "Format numbers"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repoint.model.catalog import Catalog
from repoint.model.encoding import decode_record, encode_record
from repoint.model.errors import InvalidRecordError

DOCUMENTS = sorted((Path(__file__).parent / "formats").glob("*.json"))
ACCEPTED = [document for document in DOCUMENTS if document.name.startswith("accepted-")]
REFUSED = [document for document in DOCUMENTS if document.name.startswith("refused-")]


def named(document: Path) -> str:
    return document.stem


@pytest.mark.parametrize("document", ACCEPTED, ids=named)
def test_a_document_of_the_same_major_format_is_read(document: Path) -> None:
    catalog = decode_record(document.read_bytes(), Catalog, "catalog.json")
    assert catalog.offers[0].letter == "a"
    assert catalog.baselines[0].name.version == "26.3.1"
    # What was ignored is not written again under a format that does not have it.
    assert decode_record(encode_record(catalog), Catalog, "catalog.json") == catalog


@pytest.mark.parametrize("document", REFUSED, ids=named)
def test_a_document_that_breaks_a_rule_is_refused(document: Path) -> None:
    with pytest.raises(InvalidRecordError, match=r"catalog\.json"):
        decode_record(document.read_bytes(), Catalog, "catalog.json")


def test_the_refusal_of_a_newer_major_format_says_what_to_do() -> None:
    newer = b'{"format": "2.3", "anything": 1}'
    with pytest.raises(InvalidRecordError) as refused:
        decode_record(newer, Catalog, "catalog.json")
    assert refused.value.message == (
        "catalog.json has the format 2.3, and this version of Repoint reads 1.x"
    )
    assert refused.value.hint == "Update Repoint"


@pytest.mark.parametrize("depth", [1_000, 200_000])
def test_unknown_fields_as_deep_as_an_attacker_likes_end_in_one_error_or_are_ignored(
    depth: int,
) -> None:
    document = json.loads(ACCEPTED[-1].read_text())
    text = json.dumps(document).removesuffix("}") + f', "x": {"[" * depth}{"]" * depth}}}'
    try:
        decode_record(text.encode(), Catalog, "catalog.json")
    except InvalidRecordError as error:
        assert "catalog.json" in str(error)
