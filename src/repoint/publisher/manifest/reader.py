"""Reading a manifest. An error names what is wrong, and where, in one line."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from repoint.fs.regular import open_regular
from repoint.model.errors import RepointError
from repoint.publisher.errors import ManifestError
from repoint.publisher.manifest.record import Manifest
from repoint.publisher.toml_text import parse_toml

NAME = "repoint.toml"

_MAX_BYTES = 64 << 10
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


@dataclass(frozen=True)
class ManifestFile:
    """A manifest, and where it is.

    Attributes:
        path: The file. Sources are relative to its folder.
        content: What it says.
    """

    path: Path
    content: Manifest

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent


def find_manifest(path: Path | None) -> ManifestFile | None:
    """Return the manifest at a path, or else the one of the working folder, if there is one.

    Raises:
        ManifestError: It cannot be read, or something in it does not fit.
    """
    if path is not None:
        return read_manifest(path)
    here = Path(NAME)
    return read_manifest(here) if here.is_file() else None


def read_manifest(path: Path) -> ManifestFile:
    """Read and check a manifest.

    Raises:
        ManifestError: It cannot be read, is not TOML, or something in it does not fit; the message
            says what and where.
    """
    try:
        with open(open_regular(path, os.O_RDONLY), "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(
            f"The manifest {path} cannot be read: {error.strerror}",
            hint="Name it with --manifest FILE, or write one with `repoint init`",
        ) from None
    if len(content) > _MAX_BYTES:
        raise ManifestError(
            f"{path.name}: larger than {_MAX_BYTES:,} bytes", hint="Name a manifest"
        )
    table = parse_toml(content, path.name, ManifestError)
    return ManifestFile(path, _record(table, Manifest, path.name))


def _record(table: Mapping[str, Any], kind: type[_Struct], where: str) -> _Struct:
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise _unknown(key, list(hints), where)
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in table:
            raise ManifestError(f"{where}: {field.name!r} is missing", hint=_example(field.name))
    values = {key: _value(value, hints[key], key, where) for key, value in table.items()}
    try:
        return kind(**values)
    except RepointError as error:
        raise ManifestError(f"{where}: {error.message}", hint=error.hint) from None


def _value(value: object, kind: Any, key: str, where: str) -> Any:
    if typing.get_origin(kind) is Literal:
        return _choice(value, typing.get_args(kind), key, where)
    if kind is str:
        if not isinstance(value, str):
            raise ManifestError(
                f"{where}: {key!r} is not a string", hint="Put it in quotation marks"
            )
        return value
    if typing.get_origin(kind) is tuple:
        (item, _) = typing.get_args(kind)
        return _items(value, item, key, where)
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: {key!r} is not a table", hint=f"Start it with [{key}]")
    return _record(value, kind, f"{where}: {key}")


def _items(value: object, item: Any, key: str, where: str) -> tuple[Any, ...]:
    is_text = item is str
    if not isinstance(value, list) or not all(
        isinstance(each, str if is_text else dict) for each in value
    ):
        what = "a list of strings" if is_text else "a list of tables"
        hint = f'Write it as {key} = ["…"]' if is_text else f"Start each with [[{key}]]"
        raise ManifestError(f"{where}: {key!r} is not {what}", hint=hint)
    if is_text:
        return tuple(value)
    return tuple(
        _record(each, item, f"{where}: {key} {number}{_called(each)}")
        for number, each in enumerate(value, 1)
    )


def _choice(value: object, known: tuple[str, ...], key: str, where: str) -> str:
    if value in known:
        return str(value)
    close = get_close_matches(str(value), known, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    raise ManifestError(
        f"{where}: {key} = {value!r} is not possible", hint=f"{meant}Use one of {', '.join(known)}"
    )


def _unknown(key: str, known: list[str], where: str) -> ManifestError:
    close = get_close_matches(key, known, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return ManifestError(
        f"{where}: {key[:60]!r} is unknown", hint=f"{meant}Use only {', '.join(known)}"
    )


def _called(table: Mapping[str, Any]) -> str:
    """Name a table by what a person has written in it, besides its number."""
    name = table.get("id", table.get("version"))
    return f" ({name[:63]})" if isinstance(name, str) else ""


_EXAMPLES = {
    "product": 'Add [product] with id = "acme-kiosk" and platforms = ["linux-x86_64"]',
    "component": 'Add [[component]] with id = "pillow" and source = "dist/pillow-*.whl"',
    "platforms": 'Add platforms = ["linux-x86_64"]',
    "source": 'Add source = "dist/pillow-*.whl"',
    "version": 'Add version = "26.3.1"',
    "build": 'Add build = "25D2128"',
}


def _example(field: str) -> str:
    return _EXAMPLES.get(field, f'Add {field} = "…"')
