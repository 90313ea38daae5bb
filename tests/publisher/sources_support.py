"""Small real archives, made by hand where a common tool would refuse to make them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypedDict, Unpack

from repoint.delta.zstd import zstd

Member = tuple[tarfile.TarInfo, bytes]


class Fields(TypedDict, total=False):
    """The fields of a member's header that a test may choose."""

    type: bytes
    mode: int
    mtime: float
    linkname: str
    pax_headers: dict[str, str]


def member(name: str, content: bytes = b"content", **fields: Unpack[Fields]) -> Member:
    """A member of a tar archive; a file where ``type`` is not given."""
    info = tarfile.TarInfo(name)
    info.size = len(content) if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    info.mtime = 1_700_000_000
    info.mode = 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content[: info.size]


def tar_bytes(members: Iterable[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}


def ar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return out


def deb_bytes(members: Iterable[Member], suffix: str = ".xz") -> bytes:
    control = gzip.compress(tar_bytes([member("./control", b"Package: x\n")]))
    data = PACKERS[suffix](tar_bytes(members))
    return ar_bytes(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", control),
            (f"data.tar{suffix}", data),
        ]
    )


def record_line(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{path},sha256={digest},{len(content)}\n"


def write_wheel(
    path: Path,
    files: Mapping[str, bytes],
    *,
    record: str | None = None,
    modes: Mapping[str, int] | None = None,
    wheel_version: str = "1.0",
) -> Path:
    """A wheel ``pkg-1.0`` of ``files``; with ``record``, that RECORD instead of the right one."""
    info = "pkg-1.0.dist-info"
    every = {**files, f"{info}/WHEEL": f"Wheel-Version: {wheel_version}\n".encode()}
    if record is None:
        record = "".join(record_line(name, content) for name, content in every.items())
        record += f"{info}/RECORD,,\n"
    every[f"{info}/RECORD"] = record.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in every.items():
            entry = zipfile.ZipInfo(name, (2023, 9, 15, 10, 20, 30))
            mode = (modes or {}).get(name, stat.S_IFREG | 0o644)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return path


def tree_of(root: Path) -> dict[str, object]:
    """Every path below ``root``: content of files, target of links, nothing for folders."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = "-> " + str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found
