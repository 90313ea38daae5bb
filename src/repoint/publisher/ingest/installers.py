"""What installers of wheels write, which differs from machine to machine.

pip and uv write a script for each entry point, and put their interpreter's path into it and into
scripts that start with ``#!python``. They put headers where their version thinks that headers
belong. So none of these is part of a sealed tree.

Sources: https://packaging.python.org/en/latest/specifications/entry-points/ and, for the first line
of scripts, https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import configparser
import glob
import re
from collections.abc import Iterable

from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.tree.scan import WRITTEN_BY_INSTALLERS

PYTHON_SCRIPT = b"#!python"
"""First bytes of a script whose first line an installer replaces."""

_SECTIONS = ("console_scripts", "gui_scripts")
_NAMED_BY_VERSION = re.compile(r"(pip|easy_install)([-.0-9]*)")
"""Scripts of which installers make one for each version of Python, such as ``pip3.11``."""


def entry_point_scripts(content: bytes) -> tuple[str, ...]:
    """Return the names of the scripts that installers make for an ``entry_points.txt``.

    Raises:
        UnfitSourceError: It cannot be read.
    """
    parser = configparser.ConfigParser(delimiters="=", interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names are case-sensitive
    try:
        parser.read_string(content.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UnfitSourceError(
            f"The wheel's entry_points.txt cannot be read ({reason})",
            hint="Download or build the wheel again",
        ) from None
    names = [name for each in _SECTIONS if parser.has_section(each) for name in parser[each]]
    return tuple(dict.fromkeys(names))


def written_by_installers(
    paths: Iterable[str], scripts: Iterable[str], headers: str
) -> tuple[str, ...]:
    """Return the patterns of what installers write among the files of a wheel.

    Args:
        paths: The sealed paths of the wheel.
        scripts: Names of the scripts that installers write.
        headers: The wheel's name if it has headers, else empty.
    """
    tops = {path.partition("/")[0] for path in paths}
    names = tuple(scripts)
    patterns = list(WRITTEN_BY_INSTALLERS)
    if names:
        patterns += _in_folder("bin", tops, [p for name in names for p in _files_for(name)])
    if headers:
        name = _any_spelling(headers)
        patterns += _in_folder("include", tops, [name, "site", "python*"])
    return tuple(patterns)


def _in_folder(folder: str, tops: set[str], names: list[str]) -> list[str]:
    """Return patterns of paths in a folder at the top; of the folder if nothing else is in it."""
    if folder in tops:
        return [f"{folder}/{name}" for name in names]
    # With a slash in the pattern it is matched against the whole path, so only at the top.
    return [f"[{folder[0]}/]{folder[1:]}"]


def _files_for(script: str) -> list[str]:
    match = _NAMED_BY_VERSION.fullmatch(script)
    return [glob.escape(script), *([f"{match[1]}[-.0-9]*"] if match else [])]


def _any_spelling(name: str) -> str:
    return re.sub(r"[-_.]+", "[-_.]", name)
