"""The JSON form of the signed documents.

A document is decoded only after its signature, length and hash are verified, and then strictly: an
unknown field or a wrong type is an error. Only a document of a newer minor format may have unknown
fields: see `repoint.model.formats`.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.formats import read_newer

Record = TypeVar("Record", bound=msgspec.Struct)


def encode_record(record: msgspec.Struct) -> bytes:
    """Encode a record as JSON; the same record always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode_record(data: bytes, kind: type[Record], where: str) -> Record:
    """Decode a record from JSON.

    Args:
        data: The JSON text.
        kind: The type of the record.
        where: The name of the document in an error.

    Raises:
        InvalidRecordError: The document does not follow the format.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RepointError, RecursionError) as error:
        newer = read_newer(data, kind, where)
        if newer is not None:
            return newer
        # msgspec wraps errors of __post_init__ in its own and appends the field's path.
        reason = str(error).rstrip(".")
        raise InvalidRecordError(
            f"{where} is not a valid {kind.__name__.lower()}: {reason}",
            hint="Update Repoint, or tell the vendor",
        ) from None


def refuse_duplicates(names: list[str], what: str) -> None:
    """Refuse a record that lists a name twice.

    Raises:
        InvalidRecordError: A name is listed twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRecordError(f"The {what} {name!r} is listed twice in one record")
        seen.add(name)


def toml_reason(error: Exception) -> str:
    """Return why `tomllib` could not read a text, in one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if type(error) is ValueError:
        return "a number is too long"
    return str(error).splitlines()[0]
