"""What an enrolment would fail at is refused before it starts, in one line, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.device.device import Device
from repoint.device.store.store_lock import store_file_lock
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from tests.mounts import private_mounts
from tests.places import Place
from tests.world import OLD, PLATFORM, Files, Vendor, write_tree

ELF = Path(sys.executable).resolve()


@pytest.fixture
def mounts() -> Iterator[None]:
    with private_mounts():
        yield


def mount(kind: str, target: Path, options: str = "") -> None:
    target.mkdir(parents=True, exist_ok=True)
    flags = ["-o", options] if options else []
    subprocess.run(["mount", "-t", kind, *flags, "none", target], check=True)


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every path, also of mounts and of the store, with its inode, mode and link target."""
    return {
        str(path): (
            path.lstat().st_ino,
            path.lstat().st_mode,
            str(path.readlink()) if path.is_symlink() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def enroll(place: Place, store: Path | None = None, **grafts: Path) -> None:
    Device(store or place.folder / "store", wait=5).enroll(
        place.vendor.product,
        place.server.url,
        place.vendor.root,
        {name: GraftRequest(path) for name, path in (grafts or {"engine": place.graft}).items()},
        BaselineFilter(platform=PLATFORM),
    )


def refused(place: Place, attempt: Callable[[], None], *message: str) -> None:
    before = snapshot(place.folder)
    with pytest.raises(RepointError) as error:
        attempt()
    line = str(error.value)
    assert error.value.hint, line
    assert "\n" not in line
    for words in message:
        assert words in line
    assert snapshot(place.folder) == before


class TestGraftPoints:
    def test_a_folder_of_a_lower_overlay_layer(self, place: Place, mounts: None) -> None:
        lower, merged = place.folder / "lower", place.folder / "merged"
        write_tree(lower / "engine", OLD)
        for name in ("upper", "work", "merged"):
            (place.folder / name).mkdir()
        options = f"lowerdir={lower},upperdir={place.folder}/upper,workdir={place.folder}/work"
        mount("overlay", merged, options)
        refused(place, lambda: enroll(place, engine=merged / "engine"), "lower layer", "cp -a")
        assert list((place.folder / "upper").iterdir()) == []

    @pytest.mark.parametrize("redirected", [False, True])
    def test_a_folder_that_an_overlay_can_move_is_enrolled(
        self, place: Place, mounts: None, redirected: bool
    ) -> None:
        lower, merged = place.folder / "lower", place.folder / "merged"
        write_tree(lower / "engine", OLD)
        for name in ("upper", "work"):
            (place.folder / name).mkdir()
        options = f"lowerdir={lower},upperdir={place.folder}/upper,workdir={place.folder}/work"
        mount("overlay", merged, options + (",redirect_dir=on" if redirected else ""))
        graft = merged / "engine"
        if not redirected:
            graft = merged / "copy"
            subprocess.run(["cp", "-a", merged / "engine", graft], check=True)
        enroll(place, engine=graft)
        assert graft.is_symlink()

    @pytest.mark.parametrize("where", ["", "share", "share/deep er"])
    def test_a_mount_point_or_a_folder_that_holds_one(
        self, place: Place, mounts: None, where: str
    ) -> None:
        mounted = place.graft / where
        mounted.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", mounted, mounted], check=True)
        message = f"holds the mount point {mounted}" if where else "is a mount point"
        refused(place, lambda: enroll(place), message, f"umount {mounted}")

    def test_a_read_only_file_system(self, place: Place, mounts: None) -> None:
        mount("tmpfs", place.folder / "disk")
        write_tree(place.folder / "disk/engine", OLD)
        subprocess.run(["mount", "-o", "remount,ro", place.folder / "disk"], check=True)
        attempt = lambda: enroll(place, engine=place.folder / "disk/engine")  # noqa: E731
        refused(place, attempt, "read-only", "Make it writable")

    def test_a_folder_that_must_not_be_moved(self, place: Place) -> None:
        if os.geteuid() != 0 or subprocess.run(["chattr", "+i", place.graft]).returncode:
            pytest.skip("needs root and a file system with attributes")
        try:
            refused(place, lambda: enroll(place), "No right", "lsattr")
        finally:
            subprocess.run(["chattr", "-i", place.graft], check=True)

    def test_a_name_that_the_exchange_needs_is_taken(self, place: Place) -> None:
        (place.graft.parent / ".engine.repoint").write_text("somebody's")
        refused(place, lambda: enroll(place), ".engine.repoint is in the way", "Move it away")

    def test_a_name_that_is_too_long(self, place: Place) -> None:
        long = place.graft.with_name("e" * 250)
        place.graft.rename(long)
        refused(place, lambda: enroll(place, engine=long), "File name too long")

    def test_the_same_folder_twice_by_another_path(self, place: Place, mounts: None) -> None:
        other = place.folder / "other"
        other.mkdir()
        subprocess.run(["mount", "--bind", place.graft.parent, other], check=True)
        refused(place, lambda: enroll(place, engine=place.graft, motor=other / "engine"), "overlap")

    def test_a_folder_that_holds_the_graft_point_of_another_product(
        self, place: Place, vendor: Vendor
    ) -> None:
        place.enroll()
        vendor.product = "other"
        vendor.baseline()
        attempt = lambda: enroll(place, engine=place.graft.parent)  # noqa: E731
        refused(place, attempt, "of acme-kiosk overlap", "this product alone")

    def test_a_program_that_does_not_exist(self, place: Place) -> None:
        request = {"engine": GraftRequest(place.graft, ("no-such-program", "--flag"))}
        wanted = BaselineFilter(platform=PLATFORM)
        product, url, root = place.vendor.product, place.server.url, place.vendor.root

        def attempt() -> None:
            place.device.enroll(product, url, root, request, wanted)

        refused(place, attempt, "no program no-such-program", "--program")


class TestStoreAndGraftPointOverlap:
    @pytest.mark.parametrize(
        ("links", "store", "graft"),
        [
            ({}, "app/engine/store", "app/engine"),
            ({"way": "app/engine"}, "way/store", "app/engine"),
            ({"way": "app"}, "app/engine/store", "way/engine"),
            ({}, "app", "app/engine"),
            ({"way": "app"}, "way", "app/engine"),
            ({"way": "app", "road": "way"}, "road", "way/engine"),
            ({}, "app/engine", "app/engine"),
        ],
    )
    def test_through_links(
        self, place: Place, links: dict[str, str], store: str, graft: str
    ) -> None:
        for name, target in links.items():
            (place.folder / name).symlink_to(target)
        attempt = lambda: enroll(  # noqa: E731
            place, place.folder / store, engine=place.folder / graft
        )
        refused(place, attempt, "overlap", "a store outside of it")

    def test_through_a_bind_mount(self, place: Place, mounts: None) -> None:
        other = place.folder / "other"
        other.mkdir()
        subprocess.run(["mount", "--bind", place.graft.parent, other], check=True)
        refused(place, lambda: enroll(place, other, engine=place.graft), "overlap")


def with_program(vendor: Vendor, place: Place, files: Files, mode: int = 0o644) -> None:
    """Register a baseline whose lib/engine.so has a mode, and install it."""
    source = vendor.source(files)
    (source / "lib/engine.so").chmod(mode)
    from repoint.publisher.baselines import ComponentSource, Release

    name = BaselineName(PLATFORM, "27", "27A1")
    vendor.publisher.add_baseline(
        Release(vendor.product, name, (ComponentSource("engine", source),), None)
    )
    place.put(files)
    (place.graft / "lib/engine.so").chmod(mode)


class TestStores:
    @pytest.mark.parametrize(
        ("options", "files", "mode", "message"),
        [
            ("noexec", OLD, 0o755, "noexec, so lib/engine.so of engine would no longer run"),
            ("noexec", {**OLD, "lib/engine.so": ELF.read_bytes()[:4096]}, 0o644, "noexec"),
            ("nosuid", OLD, 0o4755, "nosuid, so lib/engine.so of engine would lose the rights"),
            ("noexec,nosuid,nodev", OLD, 0o2755, "noexec"),
        ],
    )
    def test_a_file_system_from_which_the_component_would_not_run(
        self,
        place: Place,
        vendor: Vendor,
        mounts: None,
        options: str,
        files: Files,
        mode: int,
        message: str,
    ) -> None:
        with_program(vendor, place, files, mode)
        mount("tmpfs", place.folder / "store", f"{options},mode=755")
        refused(place, lambda: enroll(place), message, "--store")

    @pytest.mark.parametrize("below", ["", "deep/er"])
    def test_a_component_without_programs_may_lie_there(
        self, place: Place, mounts: None, below: str
    ) -> None:
        mount("tmpfs", place.folder / "disk", "noexec,nosuid,nodev,mode=755")
        enroll(place, place.folder / "disk" / below)
        assert place.text() == OLD["main.py"]

    def test_a_store_may_take_from_a_component_what_it_does_not_have_now(
        self, place: Place, vendor: Vendor, mounts: None
    ) -> None:
        with_program(vendor, place, OLD, 0o755)
        mount("tmpfs", place.folder / "disk", "noexec,mode=755")
        subprocess.run(["cp", "-a", place.graft, place.folder / "disk/engine"], check=True)
        enroll(place, place.folder / "disk/store", engine=place.folder / "disk/engine")

    def test_too_little_space(self, place: Place, mounts: None) -> None:
        mount("tmpfs", place.folder / "store", "size=40k,mode=755")
        refused(place, lambda: enroll(place), "The disk is full", "MB are free")

    def test_too_few_inodes(self, place: Place, vendor: Vendor, mounts: None) -> None:
        mount("tmpfs", place.folder / "store", "nr_inodes=40,mode=755")
        files: Files = {**OLD, **{f"many/{n}": str(n) for n in range(60)}}
        vendor.baseline({"engine": files}, name=BaselineName(PLATFORM, "27", "27A1"))
        place.put(files)
        refused(place, lambda: enroll(place), "inodes", "Remove some files")

    def test_a_read_only_file_system(self, place: Place, mounts: None) -> None:
        mount("tmpfs", place.folder / "disk", "ro,mode=755")
        refused(place, lambda: enroll(place, place.folder / "disk/store"), "read-only")

    @pytest.mark.parametrize("kind", ["file", "dangling link"])
    def test_what_is_no_folder(self, place: Place, kind: str) -> None:
        if kind == "file":
            (place.folder / "store").write_text("somebody's")
        else:
            (place.folder / "store").symlink_to("nowhere")
        refused(place, lambda: enroll(place), "is not a folder", "--store")

    @pytest.mark.parametrize("kind", ["folder", "link", "pipe", "another account's"])
    def test_a_foreign_lock(self, place: Place, kind: str) -> None:
        store = place.folder / "store"
        store.mkdir(mode=0o755)
        lock = store / "lock"
        if kind == "folder":
            lock.mkdir()
        elif kind == "link":
            lock.symlink_to("elsewhere")
        elif kind == "pipe":
            os.mkfifo(lock)
        else:
            if os.geteuid() != 0:
                pytest.skip("needs root")
            lock.touch()
            os.chown(lock, 1234, 1234)
        refused(place, lambda: enroll(place), str(lock))

    def test_a_folder_that_others_may_write_to(self, place: Place) -> None:
        store = place.folder / "store"
        store.mkdir()
        store.chmod(0o777)
        refused(place, lambda: enroll(place), "Others may write to")


class TestNothingIsLeft:
    def test_in_a_store_that_existed_empty(self, place: Place) -> None:
        (place.folder / "store").mkdir(mode=0o755)
        place.put({**OLD, "main.py": "changed\n"})
        refused(place, lambda: enroll(place), "1 path differs")

    def test_of_the_folders_above_a_store(self, place: Place) -> None:
        place.put({**OLD, "main.py": "changed\n"})
        refused(place, lambda: enroll(place, place.folder / "a/b/store"), "1 path differs")

    def test_if_the_repository_cannot_be_reached(self, place: Place) -> None:
        place.server.close()
        refused(place, lambda: enroll(place), "cannot be")

    def test_but_what_another_product_needs_stays(self, place: Place, vendor: Vendor) -> None:
        place.enroll()
        vendor.product = "other"
        vendor.baseline({"motor": OLD})
        other = write_tree(place.folder / "app/motor", {**OLD, "main.py": "changed\n"})
        refused(place, lambda: enroll(place, motor=other), "1 path differs")
        assert place.text() == OLD["main.py"]

    def test_a_command_that_waits_for_a_lock_that_is_removed_takes_the_new_one(
        self, tmp_path: Path
    ) -> None:
        store, taken = tmp_path / "store", threading.Event()

        def wait_for_it() -> None:
            with store_file_lock(store, "lock", wait=10, on_wait=lambda note: waiting.set()):
                assert (store / "lock").exists()
                taken.set()

        waiting = threading.Event()
        waiter = threading.Thread(target=wait_for_it)
        with store_file_lock(store, "lock"):
            waiter.start()
            assert waiting.wait(10)
            (store / "lock").unlink()
            store.rmdir()
        waiter.join(10)
        assert taken.is_set()
