from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from repoint.publisher.ingest import unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError
from tests.publisher.sources_support import PACKERS, ar_bytes, deb_bytes, member, tar_bytes, tree_of

FILES = (
    member("./", type=tarfile.DIRTYPE),
    member("./usr/lib/libx.so.1", os.urandom(3000), mode=0o644),
    member("./usr/lib/libx.so", type=tarfile.SYMTYPE, linkname="libx.so.1"),
    member("./usr/bin/x", b"#!", mode=0o2755),
)
DATA = tar_bytes(FILES)


def refusal(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "x.deb").write_bytes(data)
    with pytest.raises(UnfitSourceError) as caught:
        unpack_source(tmp_path / "x.deb", tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["x.deb"]
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_package_becomes_the_files_that_it_installs(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "x.deb").write_bytes(deb_bytes(FILES, suffix))
    unpack_source(tmp_path / "x.deb", tmp_path / "tree")
    assert tree_of(tmp_path / "tree") == {
        "usr": None,
        "usr/bin": None,
        "usr/bin/x": b"#!",
        "usr/lib": None,
        "usr/lib/libx.so": "-> libx.so.1",
        "usr/lib/libx.so.1": FILES[1][1],
    }
    assert (tmp_path / "tree/usr/bin/x").stat().st_mode & 0o7777 == 0o2755


def test_dpkg_makes_the_same_tree_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(deb_bytes(FILES))
    unpack_source(tmp_path / "x.deb", tmp_path / "tree")
    other = "tree"
    if shutil.which("dpkg-deb"):
        other = "dpkg"
        subprocess.run(["dpkg-deb", "-x", tmp_path / "x.deb", tmp_path / other], check=True)
    assert tree_of(tmp_path / "tree") == tree_of(tmp_path / other)


def test_what_is_wrong_with_a_member_is_reported(tmp_path: Path) -> None:
    assert "would leave the tree" in refusal(tmp_path, deb_bytes([member("./../x")]))
    climbing = member("./a", type=tarfile.SYMTYPE, linkname="../etc/alternatives/a")
    assert "leads out of the tree" in refusal(tmp_path, deb_bytes([member("./f"), climbing]))
    device = member("./dev/x", type=tarfile.CHRTYPE)
    assert "'./dev/x' is a device" in refusal(tmp_path, deb_bytes([member("./f"), device]))
    assert "contains no file" in refusal(tmp_path, deb_bytes([]))


@pytest.mark.parametrize("keep", [8, 9, 70, 100, 0.5, 0.95])
def test_a_truncated_package_is_refused(tmp_path: Path, keep: float) -> None:
    data = deb_bytes(FILES)
    cut = data[: keep if isinstance(keep, int) else int(len(data) * keep)]
    message = refusal(tmp_path, cut)
    assert "truncated" in message or "not a Debian package" in message or "no data.tar" in message


def test_a_changed_byte_in_a_package_is_refused(tmp_path: Path) -> None:
    data = bytearray(deb_bytes(FILES))
    data[-1500] ^= 0x10
    assert "data.tar.xz is corrupt" in refusal(tmp_path, bytes(data)) or "xz stream" in refusal(
        tmp_path, bytes(data)
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.o", b"")], "not a Debian package"),
        ([], "not a Debian package"),
        ([("debian-binary", b"3.0\n"), ("data.tar", DATA)], "unknown format '3.0'"),
        ([("debian-binary", b"\xff\n"), ("data.tar", DATA)], "unknown format"),
        ([("debian-binary", b"2.0\n")], "no data.tar instead"),
        ([("debian-binary", b"2.0\n"), ("data.tar.bz2", b"")], "data.tar.bz2 instead of one of"),
        (
            [("debian-binary", b"2.0\n"), ("data.tar", DATA), ("data.tar.gz", DATA)],
            "data.tar and data.tar.gz instead of one of",
        ),
        ([("debian-binary", b"2.0\n"), ("data.tar", b"no archive")], "corrupt or truncated"),
        ([("debian-binary", b"2.0\n"), ("data.tar", b"")], "corrupt or truncated"),
    ],
)
def test_an_ar_archive_that_is_no_good_package_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    assert message in refusal(tmp_path, ar_bytes(members))


@pytest.mark.parametrize(
    "members",
    [
        [("debian-binary/", b"2.0\n"), ("control.tar/", b""), ("data.tar/", DATA)],
        [("debian-binary", b"2.0\n"), ("control.tar.zst", b""), ("data.tar", DATA)],
        [("debian-binary", b"2.0\n"), ("_gpgorigin", b"odd"), ("data.tar", DATA)],
        [("debian-binary", b"2.0\n"), ("data.tar", DATA), ("_later", b"x"), ("more", b"xyz")],
        [("debian-binary", b"2.1\nmore\n"), ("data.tar", DATA)],
    ],
    ids=["names of GNU ar", "zstd", "signed", "more members", "later minor version"],
)
def test_an_unusual_package_is_accepted(tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
    (tmp_path / "x.deb").write_bytes(ar_bytes(members))
    unpack_source(tmp_path / "x.deb", tmp_path / "tree")
    assert (tmp_path / "tree/usr/bin/x").read_bytes() == b"#!"


@pytest.mark.parametrize("size", [b"-60", b"-70", b"many", b""])
def test_a_member_size_that_is_none_is_refused(tmp_path: Path, size: bytes) -> None:
    data = bytearray(deb_bytes(FILES))
    data[8 + 48 : 8 + 58] = size.ljust(10)
    assert "truncated" in refusal(tmp_path, bytes(data))
