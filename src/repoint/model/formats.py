"""The format numbers of signed documents, and what a reader does with a newer one.

Every signed document starts with its format, ``MAJOR.MINOR``. A new minor number adds fields that a
reader may ignore. Anything else is a new major number: a field removed, a new meaning, a new value
of an old field, or a field that a reader must not ignore.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec

from repoint.model.errors import InvalidRecordError, RepointError

Record = TypeVar("Record", bound=msgspec.Struct)

_FORMAT = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


class _Header(msgspec.Struct):
    format: str


def read_newer(data: bytes, kind: type[Record], where: str) -> Record | None:
    """Decode a document that has a newer minor format than this Repoint knows.

    Fields that ``kind`` does not have are ignored, at any depth. All other rules hold.

    Args:
        data: The JSON text.
        kind: The type of the record.
        where: The name of the document in an error.

    Returns:
        The record, or None if the document has no newer format.

    Raises:
        InvalidRecordError: It has another major format, or does not follow the format.
    """
    found, known = _format_of(data), _known_format(kind)
    if found is None or known is None:
        return None
    if found[0] != known[0]:
        raise InvalidRecordError(
            f"{where} has the format {found[0]}.{found[1]}, and this version of Repoint reads "
            f"{known[0]}.x",
            hint="Update Repoint" if found[0] > known[0] else "Tell the vendor",
        )
    if found[1] <= known[1]:
        return None
    try:
        content = msgspec.json.decode(data)
        content["format"] = f"{known[0]}.{known[1]}"
        return msgspec.convert(_known_fields(content, _type_of(kind)), kind)
    except (msgspec.ValidationError, RepointError, RecursionError) as error:
        raise InvalidRecordError(
            f"{where} is not a valid {kind.__name__.lower()}: {str(error).rstrip('.')}",
            hint="Update Repoint, or tell the vendor",
        ) from None


def _format_of(data: bytes) -> tuple[int, int] | None:
    try:
        match = _FORMAT.fullmatch(msgspec.json.decode(data, type=_Header).format)
    except (msgspec.DecodeError, RecursionError):
        return None
    return (int(match[1]), int(match[2])) if match else None


def _known_format(kind: type[msgspec.Struct]) -> tuple[int, int] | None:
    """Return the format in a record's type; None if the record is no signed document."""
    for field in _type_of(kind).fields:
        if field.name == "format" and isinstance(field.type, msgspec.inspect.LiteralType):
            match = _FORMAT.fullmatch(str(field.type.values[0]))
            return (int(match[1]), int(match[2])) if match else None
    return None


def _type_of(kind: type[msgspec.Struct]) -> msgspec.inspect.StructType:
    return cast(msgspec.inspect.StructType, msgspec.inspect.type_info(kind))


def _known_fields(value: Any, kind: msgspec.inspect.Type) -> Any:
    """Return a decoded JSON value without the fields that its type does not have."""
    match kind:
        case msgspec.inspect.StructType() if isinstance(value, dict):
            types = {field.encode_name: field.type for field in kind.fields}
            return {k: _known_fields(v, types[k]) for k, v in value.items() if k in types}
        case msgspec.inspect.DictType() if isinstance(value, dict):
            return {k: _known_fields(v, kind.value_type) for k, v in value.items()}
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType() if isinstance(value, list):
            return [_known_fields(each, kind.item_type) for each in value]
        case msgspec.inspect.UnionType():
            struct = [each for each in kind.types if isinstance(each, msgspec.inspect.StructType)]
            return _known_fields(value, struct[0]) if len(struct) == 1 else value
    return value
