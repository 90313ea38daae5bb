"""The advisory file that a vendor writes, in TOML."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repoint.model.advisory import Advisory, Fix
from repoint.model.errors import RepointError
from repoint.publisher.toml_text import parse_toml

_TOP = ("title", "fix")
_FIX = ("cves", "component", "impact", "description", "credit", "url")
_OPTIONAL = ("credit", "url")
_MAX_BYTES = 4 << 20


class AdvisoryError(RepointError):
    """The file cannot be read, or is not an advisory; the message names the field."""


def read_advisory(path: Path, components: Collection[str]) -> Advisory:
    """Read and check an advisory.

    White space around texts is stripped.

    Args:
        path: The TOML file: ``title``, and one ``[[fix]]`` for each fix with ``cves``,
            ``component``, ``impact``, ``description`` and optionally ``credit`` and ``url``.
        components: The names of the components that a fix may be for.

    Raises:
        AdvisoryError: The file is missing, is not TOML, or a field is missing, unknown or wrong.
    """
    where = path.name
    table = _read(path)
    _check_fields(table, _TOP, (), where)
    fixes = table["fix"]
    if not isinstance(fixes, list) or not all(isinstance(fix, dict) for fix in fixes):
        raise AdvisoryError(f"{where}: 'fix' is not a list", hint="Start each fix with [[fix]]")
    parsed = tuple(
        _fix(fix, components, f"{where}: fix {number}") for number, fix in enumerate(fixes, 1)
    )
    with _located_errors(where):
        return Advisory(_text(table, "title", where), parsed)


def cves_of_the_future(advisory: Advisory, year: int) -> list[str]:
    """Return the CVE ids of years after this one, which are typing errors as a rule."""
    return [cve for cve in advisory.cves() if int(cve.split("-")[1]) > year]


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise AdvisoryError(
            f"{path} cannot be read: {error.strerror}", hint="Name the advisory's TOML file"
        ) from None
    if len(content) > _MAX_BYTES:
        raise AdvisoryError(f"{path.name}: larger than {_MAX_BYTES:,} bytes")
    return parse_toml(content, path.name, AdvisoryError)


def _fix(fix: Mapping[str, Any], components: Collection[str], where: str) -> Fix:
    _check_fields(fix, _FIX, _OPTIONAL, where)
    cves = fix["cves"]
    if not isinstance(cves, list) or not all(isinstance(cve, str) for cve in cves):
        raise AdvisoryError(
            f"{where}: 'cves' is not a list of strings", hint='Write it as cves = ["CVE-2023-4863"]'
        )
    component = _text(fix, "component", where)
    if component not in components:
        raise AdvisoryError(
            f"{where}: {component!r} is not a component of the baseline",
            hint=f"Use one of: {', '.join(sorted(components))}",
        )
    with _located_errors(where):
        return Fix(
            cves=tuple(cves),
            component=component,
            impact=_text(fix, "impact", where),
            description=_text(fix, "description", where),
            credit=_text(fix, "credit", where) if "credit" in fix else "",
            url=_text(fix, "url", where) if "url" in fix else "",
        )


def _check_fields(
    table: Mapping[str, Any], known: tuple[str, ...], optional: tuple[str, ...], where: str
) -> None:
    for name in table:
        if name not in known:
            raise AdvisoryError(
                f"{where}: the field {name!r} is unknown", hint=f"Use only {', '.join(known)}"
            )
    for name in known:
        if name not in table and name not in optional:
            hint = "Start each fix with [[fix]]" if name == "fix" else f"Add {name} = …"
            raise AdvisoryError(f"{where}: {name!r} is missing", hint=hint)


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table[name]
    if not isinstance(value, str):
        raise AdvisoryError(f"{where}: {name!r} is not a string", hint="Put it in quotation marks")
    return value.strip()


@contextmanager
def _located_errors(where: str) -> Iterator[None]:
    try:
        yield
    except AdvisoryError:
        raise
    except RepointError as error:
        raise AdvisoryError(f"{where}: {error.message}", hint=error.hint) from None
