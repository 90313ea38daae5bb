"""A wheel as a component's source, unpacked the way installers fill ``site-packages``.

Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import calendar
import io
import stat
import zipfile
from collections.abc import Iterator

from repoint.model.tree import check_path
from repoint.publisher.ingest.builder import CHUNK, TreeBuilder, archive_time
from repoint.publisher.ingest.errors import UnfitSourceError, broken_input
from repoint.publisher.ingest.installers import (
    PYTHON_SCRIPT,
    entry_point_scripts,
    written_by_installers,
)
from repoint.publisher.ingest.record import Record

_DESTINATIONS = {"purelib": "", "platlib": "", "data": "", "scripts": "bin/", "headers": None}
"""Destinations of the parts of ``NAME-VERSION.data`` in the tree. Installers disagree about
that of headers, which no program needs."""

_MAX_METADATA = 64 << 20
"""Bytes of RECORD or WHEEL; large wheels have a RECORD of 2 MiB."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""First bytes of a zip archive with and without members."""


def is_zip(head: bytes) -> bool:
    """Return whether a file that starts with ``head`` is a zip archive."""
    return head.startswith(_ZIP_MAGIC)


def unpack_wheel(stream: io.BufferedReader, tree: TreeBuilder) -> tuple[str, ...]:
    """Unpack a wheel and check every file against its RECORD.

    As installers do, empty folders are skipped, and of a file's mode only the execute bit is kept.
    Headers, and scripts whose first line installers replace, are checked but left out.

    Returns:
        Patterns of what installers write among the files.

    Raises:
        UnfitSourceError: It is not a wheel, is corrupt, or differs from its RECORD.
    """
    with broken_input("The wheel"), zipfile.ZipFile(stream) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            _check_type(member)
        folder = _metadata_folder(members)
        _check_version(_read_small(archive, f"{folder}/WHEEL"))
        record = Record(_read_small(archive, f"{folder}/RECORD"), folder)
        entry_points = f"{folder}/entry_points.txt"
        known = {member.filename for member in members}
        text = _read_small(archive, entry_points) if entry_points in known else b""
        scripts, paths, headers = list(entry_point_scripts(text)), [], ""
        for member in members:
            content = record.checked(member.filename, _content(archive, member))
            path = _destination(member.filename)
            if path is None:
                headers = folder.partition("-")[0]
            elif path.startswith("bin/") and _is_python_script(archive, member):
                scripts.append(path.removeprefix("bin/"))
            else:
                paths.append(path)
                tree.add_file(path, content, mode=_mode(member), mtime_ns=_time(member))
                continue
            tree.leave_out(content)
        record.finish()
    return written_by_installers(paths, scripts, headers)


def _metadata_folder(members: list[zipfile.ZipInfo]) -> str:
    tops = {member.filename.partition("/")[0] for member in members if "/" in member.filename}
    folders = [name for name in tops if name.endswith(".dist-info")]
    if len(folders) != 1:
        raise UnfitSourceError(
            f"It is a zip archive with {len(folders) or 'no'} *.dist-info folders, so not a wheel",
            hint="Name a wheel, or unpack the archive and name its folder",
        )
    return folders[0]


def _read_small(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise UnfitSourceError(f"It has no {name}, so it is not a wheel") from None
    with archive.open(member) as content:
        data = content.read(_MAX_METADATA + 1)
    if len(data) > _MAX_METADATA:
        raise UnfitSourceError(f"{name!r} is larger than {_MAX_METADATA:,} bytes")
    return data


def _check_version(content: bytes) -> None:
    fields = dict(line.split(":", 1) for line in content.decode().splitlines() if ":" in line)
    version = fields.get("Wheel-Version", "").strip()
    if version.partition(".")[0] != "1":
        raise UnfitSourceError(
            f"It is a wheel of format version {version!r}; only 1.x is supported",
            hint="Unpack it with an installer and name the folder",
        )


def _check_type(member: zipfile.ZipInfo) -> None:
    # zipfile truncates names at a NUL, so two readers would see different names.
    if "\0" in member.orig_filename:
        raise UnfitSourceError(f"The wheel contains the name {member.orig_filename!r}")
    if member.flag_bits & 0x1:
        raise UnfitSourceError(f"{member.filename!r} is encrypted", hint="Name a wheel that is not")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise UnfitSourceError(
            f"{member.filename!r} is a link or a special file, which a wheel cannot contain",
            hint="Build the wheel again with files only",
        )


def _is_python_script(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as content:
        return content.read(len(PYTHON_SCRIPT)) == PYTHON_SCRIPT


def _destination(path: str) -> str | None:
    """Return the path of a member in the tree; None for a header."""
    top, _, rest = path.partition("/")
    if not top.endswith(".data"):
        return path
    key, _, inner = rest.partition("/")
    if key not in _DESTINATIONS or not inner:
        raise UnfitSourceError(
            f"{path!r} has no destination: {key!r} is not one of "
            f"{', '.join(sorted(_DESTINATIONS))}",
            hint="Build the wheel again without it",
        )
    place = _DESTINATIONS[key]
    if place is None:
        check_path(inner)
        return None
    return place + inner


def _mode(member: zipfile.ZipInfo) -> int:
    # pip reads the execute bits only if the archive has Unix modes.
    mode = member.external_attr >> 16
    return 0o755 if stat.S_ISREG(mode) and mode & 0o111 else 0o644


def _time(member: zipfile.ZipInfo) -> int | None:
    # Zip times have no zone. Reproducible builds write UTC.
    try:
        return archive_time(calendar.timegm((*member.date_time, 0, 0, 0)))
    except ValueError:
        return None


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(member) as content:
        while chunk := content.read(CHUNK):
            yield chunk
