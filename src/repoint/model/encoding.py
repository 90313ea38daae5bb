"""The JSON form of the signed documents.

Documents are read only after their signature, length and hash hold, and even then strictly: an
unknown field or a wrong type is an error.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from repoint.model.errors import InvalidRecordError, RepointError

Record = TypeVar("Record", bound=msgspec.Struct)


def encode_record(record: msgspec.Struct) -> bytes:
    """The JSON form of a record; the same record always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode_record(data: bytes, kind: type[Record], where: str) -> Record:
    """Read a record from its JSON form.

    Args:
        data: The JSON text.
        kind: The record's type.
        where: What to call the document in an error.

    Raises:
        InvalidRecordError: The document is not what the format says.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RepointError, RecursionError) as error:
        # msgspec wraps errors of __post_init__ in its own, with the place appended.
        reason = str(error).rstrip(".")
        raise InvalidRecordError(
            f"{where} is not a valid {kind.__name__.lower()}: {reason}",
            hint="It may come from a newer Repoint; update Repoint, or tell the vendor",
        ) from None


def refuse_duplicates(names: list[str], what: str) -> None:
    """Refuse a record that names something twice.

    Raises:
        InvalidRecordError: A name stands twice.
    """
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise InvalidRecordError(f"The {what} {doubles[0]!r} stands twice in one record")
