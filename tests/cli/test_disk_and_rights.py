"""A full disk, and places where one may not write: an error, and everything as it was."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.device.errors import StoreWriteError
from repoint.device.store.store_lock import locked
from tests.cli.command import Answer, everything, refusal, repoint, works
from tests.cli.conftest import write_advisory
from tests.mounts import private_mounts
from tests.places import Place
from tests.world import FIXED, NAME, OLD, PLATFORM, Vendor, big, write_tree

MakeDisk = Callable[[int], Path]
NOBODY = 65534


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Mounts file systems of so many KiB."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        options = f"size={size}k,mode=755"
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("a small disk needs `mount`")
        if done.returncode != 0:
            pytest.skip(f"a small disk needs the right to mount: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, *, leave: int) -> None:
    """Fill a disk but for some KiB."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"\0" * (free - leave * 1024))


def enroll(
    shop: Vendor, url: str, graft: Path, store: Path, before: Callable[[], None] | None = None
) -> Answer:
    return repoint(
        "enroll", url, "--product", shop.product, "--root", shop.public / "metadata/1.root.json",
        "--graft", f"engine={graft}", "--platform", PLATFORM, "--store", store, before=before,
    )  # fmt: skip


class TestAFullDisk:
    def test_at_enrolment_leaves_the_product_unchanged(
        self, place: Place, small_disk: MakeDisk
    ) -> None:
        disk = small_disk(100)
        fill(disk, leave=60)
        before = everything(place.folder)
        answer = enroll(place.vendor, place.server.url, place.graft, disk / "store")
        refusal(answer, "The disk is full: could not enrol acme-kiosk", "Free some space")
        assert everything(place.folder) == before
        assert [path for path in everything(disk) if path != "filler"] == []

    @pytest.mark.slow
    def test_at_installation_is_detected_before_the_download(
        self, place: Place, small_disk: MakeDisk
    ) -> None:
        disk = small_disk(4000)
        assert enroll(place.vendor, place.server.url, place.graft, disk / "store").status == 0
        place.vendor.release()
        works("check", "--store", disk / "store")
        before = everything(disk)
        place.server.requests.clear()
        answer = repoint("install", "--store", disk / "store")
        refusal(answer, "The disk is full: 26.3.1 (a) needs", "Free some space")
        assert [r for r in place.server.requests if r.path.endswith(".patch")] == []
        assert everything(disk) == before
        works("status", "--store", disk / "store")

    @pytest.mark.slow
    def test_at_a_check_leaves_what_is_known(self, place: Place, small_disk: MakeDisk) -> None:
        disk = small_disk(4000)
        assert enroll(place.vendor, place.server.url, place.graft, disk / "store").status == 0
        works("check", "--store", disk / "store")
        place.vendor.release()
        before = everything(disk, "filler", "metadata", "downloads")
        fill(disk, leave=0)
        answer = repoint("check", "--store", disk / "store")
        refusal(answer, "The disk is full", "Free some space")
        assert everything(disk, "filler", "metadata", "downloads") == before
        (disk / "filler").unlink()
        assert "Available: 26.3.1 (a)" in works("check", "--store", disk / "store")

    def test_when_a_repository_is_created_leaves_none(self, small_disk: MakeDisk) -> None:
        disk = small_disk(64)
        fill(disk, leave=8)
        answer = repoint("repository", "init", disk / "repository", "--no-passphrase")
        refusal(answer, "could not be created: No space left on device")
        assert not (disk / "repository/keys").exists()
        assert repoint("show", "--repository", disk / "repository").status == 1

    @pytest.mark.slow
    def test_when_a_vendor_works_leaves_the_repository_as_it_is(
        self, small_disk: MakeDisk, tmp_path: Path
    ) -> None:
        disk = small_disk(1000)
        vendor = Vendor(disk)
        vendor.baseline()
        source = write_tree(tmp_path / "fixed", {**FIXED, "lib/large.so": big(9, 200_000)})
        advisory = write_advisory(tmp_path / "advisory.toml")
        where = ("--repository", vendor.repository.path)
        improve = ("improve", vendor.product, "--version", NAME.version,
                   "--component", f"engine={source}", "--advisory", advisory, *where)  # fmt: skip
        fill(disk, leave=100)
        lock = ".25D2128.lock"  # the empty lock file of a baseline that was once improved
        before = everything(disk, lock)
        refusal(
            repoint("baseline", "add", vendor.product, "--version", "27.0", "--build", "27A1",
                    "--component", f"engine={source}", *where),
            "No space left on device", "Free some space",
        )  # fmt: skip
        assert everything(disk, lock) == before
        refusal(repoint(*improve), "No space left on device", "Free some space")
        assert everything(disk, lock) == before
        (disk / "filler").unlink()
        works(*improve)
        fill(disk, leave=100)
        before = everything(disk, lock)
        refusal(repoint("publish", vendor.product, *where), "No space left on device")
        assert everything(disk, lock) == before


def bound_by_permissions() -> None:
    """Drop the capabilities that bypass permission bits, as the tests may run as root.

    Source: capabilities(7). A capability that is not in the bounding set is lost at the next
    execve, and these are those that pass permission bits by.
    """
    drop_from_bounding_set = 24
    libc = ctypes.CDLL(None)
    for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)


def give_away(folder: Path) -> None:
    """Take away the right to write in a folder and below: it belongs to another user, if it can."""
    for path in [folder, *folder.rglob("*")]:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        elif not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def take_back(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if os.geteuid() == 0:
            os.chown(path, 0, 0, follow_symlinks=False)
        elif path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@pytest.fixture
def given_away() -> Iterator[Callable[[Path], None]]:
    folders: list[Path] = []

    def give(folder: Path) -> None:
        give_away(folder)
        folders.append(folder)

    yield give
    for folder in folders:
        take_back(folder)


class TestNoRightToWrite:
    @pytest.mark.slow
    def test_in_anothers_store_every_change_is_refused_and_looking_is_not(
        self, enrolled: Place, given_away: Callable[[Path], None]
    ) -> None:
        store = enrolled.folder / "store"
        given_away(store)
        before = everything(enrolled.folder)
        for command in (("check",), ("install",), ("settings", "automatic", "off")):
            answer = repoint(*command, "--store", store, before=bound_by_permissions)
            refusal(answer, f"No right to change the store {store}", "as the user who owns it")
        for look in ("status", "history"):
            assert repoint(look, "--store", store, before=bound_by_permissions).status == 0
        page = repoint("settings", "--store", store, before=bound_by_permissions)
        refusal(page, f"No right to write to {store / 'page'}", "as the user who owns it")
        assert everything(enrolled.folder) == before

    def test_in_the_folder_of_the_graft_point_enrolment_is_refused(
        self, place: Place, given_away: Callable[[Path], None]
    ) -> None:
        app = place.graft.parent
        given_away(app)
        before = everything(app)
        answer = enroll(place.vendor, place.server.url, place.graft, place.folder / "store",
                        before=bound_by_permissions)  # fmt: skip
        refusal(
            answer,
            f"No right to enrol acme-kiosk at {app}/engine",
            "as the user who owns it",
        )
        assert everything(app) == before
        assert list(place.folder.glob("store/*/*")) == []

    def test_in_the_folder_of_the_store_enrolment_is_refused(
        self, place: Place, given_away: Callable[[Path], None]
    ) -> None:
        (place.folder / "srv").mkdir()
        given_away(place.folder / "srv")
        answer = enroll(place.vendor, place.server.url, place.graft,
                        place.folder / "srv/store", before=bound_by_permissions)  # fmt: skip
        refusal(answer, f"No right to change the store {place.folder / 'srv/store'}")

    def test_in_anothers_repository_publishing_is_refused(
        self, tmp_path: Path, given_away: Callable[[Path], None]
    ) -> None:
        vendor = Vendor(tmp_path / "vendor")
        vendor.baseline()
        source = write_tree(tmp_path / "fixed", OLD)
        advisory = write_advisory(tmp_path / "advisory.toml")
        given_away(vendor.repository.path)
        before = everything(vendor.repository.path)
        where = ("--repository", vendor.repository.path)
        for command in (
            ("baseline", "add", vendor.product, "--version", "27.0", "--build", "27A1",
             "--component", f"engine={source}"),
            ("improve", vendor.product, "--version", NAME.version,
             "--component", f"engine={source}", "--advisory", advisory),
            ("repository", "refresh"),
        ):  # fmt: skip
            answer = repoint(*command, *where, before=bound_by_permissions)
            refusal(answer, str(vendor.repository.path), "own")
        assert everything(vendor.repository.path) == before

    def test_to_read_a_source_is_reported_with_its_path(
        self, shop: Vendor, tmp_path: Path, given_away: Callable[[Path], None]
    ) -> None:
        source = write_tree(tmp_path / "fixed", OLD)
        (source / "lib/engine.so").chmod(0)
        given_away(source)
        answer = repoint(
            "baseline", "add", shop.product, "--version", "27.0", "--build", "27A1",
            "--component", f"engine={source}", "--repository", shop.repository.path,
            before=bound_by_permissions,
        )  # fmt: skip
        refusal(answer, "Permission denied", "lib/engine.so", "may read the source")


def test_a_store_on_a_read_only_file_system_is_named_as_such_also_to_root(tmp_path: Path) -> None:
    with private_mounts():
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path], check=True)
        with pytest.raises(StoreWriteError, match="read-only"), locked(tmp_path, "a test"):
            pass
