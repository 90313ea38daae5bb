"""What a source tells about a component: its name, its platform, and the pattern of its path."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repoint.model.baseline import BaselineName
from repoint.model.names import check_component
from repoint.publisher.errors import ManifestError, MissingSourceError
from repoint.publisher.ingest import unpack_source
from repoint.publisher.manifest.patterns import find_source
from repoint.tree.scan import ALWAYS_IGNORED, scan_tree

_WHEEL = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-[^-]+-[^-]+-(?P<tag>[^-]+)\.whl"
)
"""Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
_DEB = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]*)(_(?P<version>[^_]+))?_(?P<tag>[a-z0-9-]+)\.deb")
_ARCHIVE = re.compile(
    r"(?P<name>.+?)([-_]v?(?P<version>\d[^-_]*))?(?P<tag>[-_.][^.]*)?\.tar(\.[a-z0-9]+)?"
)
_MACHINES = re.compile(r"x86_64|aarch64|i686|armv7l|ppc64le|s390x|riscv64")
_DEBIAN = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l",
           "ppc64el": "ppc64le"}  # fmt: skip
"""Machines as Debian calls them, and as Linux does."""

_LONGEST = 63


@dataclass(frozen=True)
class Sketch:
    """A component that a source tells about.

    Attributes:
        component: Its name.
        pattern: The pattern that leads to the source.
        machines: The machines that it is for; none if it is for any.
        files: The number of its files.
        size: Their bytes.
    """

    component: str
    pattern: str
    machines: tuple[str, ...]
    files: int
    size: int


def sketch(source: Path, folder: Path, component: str | None) -> Sketch:
    """Return what a source tells about its component.

    The source is unpacked for a trial, so it is known to be fit.

    Args:
        source: A folder, wheel, .deb or tar archive.
        folder: The folder of the manifest.
        component: The component's name, if it is not that of the source.

    Raises:
        UnfitSourceError: The source cannot be a component.
        NameNotAllowedError: The component cannot have that name.
    """
    name, version, machine = _told(source)
    component = check_component(component or plain(name) or "component")
    with tempfile.TemporaryDirectory(prefix="repoint-") as scratch:
        tree = Path(scratch, "tree")
        ignored = (*ALWAYS_IGNORED, *unpack_source(source, tree))
        entries = [entry for entry in scan_tree(tree, ignore=ignored) if entry.kind == "file"]
    pattern = _pattern(source, folder, version, machine)
    machines = (machine,) if machine else ()
    return Sketch(component, pattern, machines, len(entries), sum(each.size for each in entries))


def merged(sketches: Sequence[Sketch]) -> tuple[Sketch, ...]:
    """Return one sketch for each component; its sources for several machines have one pattern.

    Raises:
        ManifestError: Two sources are the same component.
    """
    found: dict[str, Sketch] = {}
    for each in sketches:
        former = found.setdefault(each.component, each)
        if former is each:
            continue
        others = set(each.machines) - set(former.machines)
        if former.pattern != each.pattern or not former.machines or not others:
            raise ManifestError(
                f"Two sources are the component {each.component}",
                hint=(
                    "Give the source of one machine here, and in the manifest a path that differs "
                    f"only in {{arch}} (x86_64, aarch64), such as {{arch}}/{each.component}.deb"
                    if others and former.machines
                    else "Name one of them with NAME=SOURCE"
                ),
            )
        machines = (*former.machines, *each.machines)
        found[each.component] = replace(former, machines=machines)
    return tuple(found.values())


def plain(name: str) -> str:
    """Return a name in the form of names of products and components; empty if nothing is left."""
    return re.sub(r"[^a-z0-9+]+", "-", name.lower()).strip("-+")[:_LONGEST].rstrip("-")


def _told(source: Path) -> tuple[str, str, str]:
    """Return name, version and machine that the name of a source tells; empty for nothing."""
    name = source.resolve().name
    for form in (_WHEEL, _DEB, _ARCHIVE):
        found = None if source.is_dir() else form.fullmatch(name)
        if found is not None:
            machine = _MACHINES.search(found["tag"] or "")
            known = machine[0] if machine else _DEBIAN.get(found["tag"] or "", "")
            return found["name"], found["version"] or "", known
    return (name if source.is_dir() else source.stem), "", ""


def _pattern(source: Path, folder: Path, version: str, machine: str) -> str:
    """Return the path from the folder, with what changes from one release to the next left open."""
    path = os.path.relpath(source.absolute(), folder.absolute())
    if path == os.pardir or path.startswith(os.pardir + os.sep):
        path = os.path.abspath(source)
    if not Path(folder, path).exists() or not source.samefile(Path(folder, path)):
        path = str(source.resolve())  # `..` leads elsewhere behind a symbolic link
    above, name = os.path.split(path)
    opened = name.replace(version, "*", 1) if version else name
    opened = opened.replace(machine, "{arch}") if machine else opened
    pattern = os.path.join(above, opened)  # noqa: PTH118 - a pattern is no path
    try:
        found = find_source(
            pattern, folder, "", BaselineName(f"linux-{machine or 'any'}", "0", "0")
        )
    except MissingSourceError:
        return path
    return pattern if found.samefile(source) else path
