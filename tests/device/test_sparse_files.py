"""A sparse file stays sparse on its way from the vendor through a device, whatever its size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.fs.clone import copy_file
from repoint.publisher.baselines import ComponentSource, Release
from tests.places import Place
from tests.serving import WebServer
from tests.world import NAME, Vendor, advisory

MIB = 1 << 20
DATA = random.Random(1).randbytes(2 * MIB)


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path / "vendor")


@pytest.fixture
def place(tmp_path: Path, vendor: Vendor) -> Iterator[Place]:
    server = WebServer(vendor.public)
    yield Place(tmp_path / "device", server, vendor)
    server.close()


def allocated(folder: Path) -> int:
    """Return the bytes that all files below a folder take on the disk, links not followed."""
    found = {(s.st_dev, s.st_ino): s.st_blocks for s in map(Path.lstat, folder.rglob("*"))}
    return 512 * sum(found.values())


def disk_image(folder: Path, size: int, end: bytes) -> Path:
    """Write a component with an image of that size: some data, and these bytes at its end."""
    folder.mkdir(parents=True)
    (folder / "readme").write_text("a disk\n")
    with (folder / "disk.img").open("wb") as file:
        file.truncate(size)
        file.seek(size // 3)
        file.write(DATA)
        file.seek(size - len(end))
        file.write(end)
    return folder


# The codecs for files of up to 2 GiB are others than those for larger ones.
@pytest.mark.parametrize(
    "size", [48 * MIB, pytest.param(4200 * MIB + 17, marks=pytest.mark.slow)], ids=["48M", "4.1G"]
)
def test_a_sparse_file_stays_sparse(
    tmp_path: Path, vendor: Vendor, place: Place, size: int
) -> None:
    most = len(DATA) + MIB  # of one tree
    old = disk_image(tmp_path / "old", size, b"old")
    new = disk_image(tmp_path / "new", size, b"fixed")
    vendor.publisher.add_baseline(Release(vendor.product, NAME, (ComponentSource("engine", old),)))
    assert allocated(tmp_path / "vendor") < most
    vendor.improve_from({"engine": new}, advisory())
    vendor.publish()
    place.graft.mkdir(parents=True)
    for name in ("readme", "disk.img"):
        copy_file(old / name, place.graft / name)

    place.enroll()
    assert allocated(place.folder) < most
    place.update()
    assert allocated(place.folder) < 2 * most
    with (place.graft / "disk.img").open("rb") as file:
        file.seek(size - 6)
        assert file.read() == b"\0fixed"
    place.device.remove(None, why="")
    assert allocated(place.folder) < 2 * most
    place.device.unenroll(vendor.product)
    assert not place.graft.is_symlink()
    assert allocated(place.folder) < most
    with (place.graft / "disk.img").open("rb") as file:
        file.seek(size - 6)
        assert file.read() == b"\0\0\0old"
