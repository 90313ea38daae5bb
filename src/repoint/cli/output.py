"""Format figures and records: for people, or exactly, as JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from repoint.cli.terminal import print_error, print_text
from repoint.model.errors import RepointError


def size(count: int) -> str:
    """Format bytes for people, in powers of ten: ``412 B``, ``13.8 kB``, ``3.42 MB``."""
    if count < 1000:
        return f"{count} B"
    unit, value = next(
        (unit, count / scale)
        for unit, scale in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
        if count / scale < 999.5 or unit == "TB"
    )
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def seconds(value: float) -> str:
    """Format a duration for people: ``6 ms``, ``1.3 s``, ``4 min``."""
    if value < 0.0095:
        return f"{value * 1000:.1f} ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"


def moment(when: int) -> str:
    """Format a time for people, in their time zone; if it is recent, with its age."""
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
    ago = time.time() - when
    for limit, unit, word in ((90, 1, "second"), (5400, 60, "minute"), (129600, 3600, "hour")):
        if 0 <= ago < limit:
            number = round(ago / unit)
            return f"{shown} ({number} {word}{'' if number == 1 else 's'} ago)"
    return shown


def counted(number: int, noun: str) -> str:
    """Format a count: ``1 file``, ``3 files``, ``2 processes``."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def switch(value: bool, locked_by: str) -> str:
    """Format a setting for people: ``on``, or ``off, locked by FILE``."""
    return ("on" if value else "off") + (f", locked by {locked_by}" if locked_by else "")


def report_troubles(troubles: Mapping[str, RepointError]) -> None:
    """Print what failed for each product on standard error.

    Raises:
        typer.Exit: Something failed; the status is 1.
    """
    print_troubles(troubles)
    if troubles:
        import typer

        raise typer.Exit(1)


def print_troubles(troubles: Mapping[str, RepointError]) -> None:
    """Print what failed for each product on standard error."""
    for product, error in troubles.items():
        print_error(f"{product}: {error}")


def print_json(value: Any) -> None:
    """Print a record as JSON, indented, on standard output.

    All characters but printable ASCII are escaped: every encoding has them, and no terminal acts
    on them.
    """
    import json

    # msgspec cannot encode bytes that are not UTF-8, which names of processes and files can hold.
    plain = msgspec.to_builtins(value, str_keys=True)
    print_text(json.dumps(plain, indent=2, ensure_ascii=True) + "\n")
