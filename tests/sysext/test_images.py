"""A layer as one image, whose signed root hash the kernel verifies.

If this kernel has no dm-verity, systemd merges the images without it; ``make machine`` tests the
verification on a machine that has it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from repoint.device.errors import (
    EnrolmentRefusedError,
    NotApplicableError,
    NotTrustedError,
    StillRunningError,
)
from repoint.host.base_system import BaseSystem, read_release
from repoint.host.errors import CannotMergeError
from repoint.host.kernel.dm_verity import DmVerity
from repoint.host.systemd.sysext import SystemExtensions
from repoint.model.encoding import encode_record
from repoint.model.improvement import Improvement
from repoint.model.system import System as OfSystem
from tests.cli.command import works
from tests.sysext.conftest import APP, NEW, OLD, System, put
from tests.world import Files, Vendor, big

OFFERED = Path("/run/extensions")
HAS_DM_VERITY = Path("/sys/class/misc/device-mapper").exists()
LATER: Files = {**NEW, f"{APP}/lib/libcodec.so": big(1)[:20_000] + b"again" + big(1)[20_000:]}


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    fields = read_release()
    made.baseline({"codec": OLD}, system=OfSystem(fields["ID"], fields.get("VERSION_ID", "")))
    made.release({"codec": NEW})
    return made


class UnverifiedExtensions(SystemExtensions):
    """The system extensions of a systemd that does not let the kernel verify images."""

    def refresh(self) -> None:
        environment = {**os.environ, "SYSTEMD_DISSECT_VERITY_SIDECAR": "0"}
        done = subprocess.run(["systemd-sysext", "refresh"], env=environment, check=False)
        if done.returncode != 0:
            raise CannotMergeError("`systemd-sysext refresh` failed", hint="Try again")


def merge_unverified(system: System) -> None:
    sysext = UnverifiedExtensions(machine_mounts=Path("/proc/thread-self/ns/mnt"))
    system.host = msgspec.structs.replace(system.host, sysext=sysext, base=BaseSystem(sysext))


@pytest.fixture
def unverified(system: System) -> None:
    """Merge images as if the kernel verified them."""

    class Unverified(DmVerity):
        def is_verified(self, image: Path, root_hash: str) -> bool:
            return True

    merge_unverified(system)
    system.host = msgspec.structs.replace(system.host, verity=Unverified())


@pytest.fixture
def merged(system: System, unverified: None) -> System:
    system.enroll()
    system.update()
    assert system.shows(NEW)
    assert layer(system) == "image"
    return system


def layer(system: System) -> str:
    (graft,) = system.device.status(None).grafts
    return graft.layer


def image_of(system: System, letter: str = "a") -> Path:
    return system.product.path / f"images/26.3.1-25D2128-{letter}/layer.raw"


def loops(store: Path) -> list[str]:
    """Return the loop devices over files on the store's own file system."""
    device = store.stat().st_dev
    wanted = (os.minor(device) & 0xFF) | (os.minor(device) & ~0xFF) << 12 | os.major(device) << 8
    found = [file.parts[3] for file in Path("/sys/block").glob("loop*/loop/backing_file")]
    backing = {name: DmVerity().backing_file(name) for name in found}
    return [name for name, behind in backing.items() if behind and behind[0] == wanted]


def events(system: System) -> list[str]:
    return [entry.event for entry in system.device.history(None)]


def damage(image: Path, offset: int) -> None:
    """Change a byte in the file of the image."""
    image.chmod(0o644)
    with image.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
        file.flush()
        os.fsync(file.fileno())


def offset_of(image: Path, content: bytes) -> int:
    return image.read_bytes().index(content)


@pytest.mark.slow
@pytest.mark.skipif(HAS_DM_VERITY, reason="this kernel has dm-verity")
def test_without_dm_verity_a_folder_is_merged_and_reported(
    system: System,
) -> None:
    system.enroll()
    system.update()
    assert system.shows(NEW)
    assert layer(system) == "folder"
    assert image_of(system).is_file()
    assert loops(system.store) == []
    (activated,) = (e for e in system.device.history(None) if e.event == "activated")
    assert activated.why.startswith("merged as a folder: ")
    assert "  layer      folder\n" in works("status", "--store", system.store)
    assert system.device.status(None).protected


@pytest.mark.slow
def test_an_image_that_systemd_merges_unverified_does_not_count_as_verified(
    system: System,
) -> None:
    merge_unverified(system)
    system.enroll()
    system.update()
    assert system.shows(NEW)
    assert layer(system) == "folder"
    assert loops(system.store) == []


@pytest.mark.slow
def test_programs_see_an_image_and_its_removal_leaves_nothing_behind(merged: System) -> None:
    assert not os.path.lexists(f"/{APP}/lib/libplugin.so")
    assert Path(f"/{APP}/lib/others.so").read_text() == "of others"
    assert Path(f"/{APP}/lib").stat().st_mode & 0o7777 == 0o755
    status = merged.device.status(None)
    assert (status.in_force, status.protected) == ("26.3.1 (a)", True)
    assert "image, verified by the kernel" in works("status", "--store", merged.store)
    assert [e.why for e in merged.device.history(None) if e.event == "activated"] == [
        "merged as an image"
    ]
    assert len(loops(merged.store)) == 1
    merged.device.remove(None, why="")
    assert merged.shows(OLD)
    assert SystemExtensions().merged() == {}
    assert list(OFFERED.iterdir()) == []
    assert loops(merged.store) == []


def test_the_offered_root_hash_is_the_signed_one(merged: System) -> None:
    active = merged.product.links.active()
    assert active is not None
    improvement = merged.product.generations.improvement(active)
    assert improvement is not None
    assert improvement.extension is not None
    offered = {path.name: path for path in OFFERED.iterdir()}
    assert offered.keys() == {f"repoint-acme-kiosk.{end}" for end in ("raw", "verity", "roothash")}
    root_hash = offered["repoint-acme-kiosk.roothash"]
    assert not root_hash.is_symlink()
    assert root_hash.read_text().strip() == improvement.extension.root_hash
    assert image_of(merged).stat().st_size == improvement.extension.size


@pytest.mark.slow
def test_the_next_letter_replaces_the_one_before(merged: System) -> None:
    merged.vendor.release({"codec": LATER})
    merged.update()
    assert merged.shows(LATER)
    assert layer(merged) == "image"
    assert [path.name for path in (merged.product.path / "images").iterdir()] == [
        "26.3.1-25D2128-b"
    ]
    assert len(loops(merged.store)) == 1


@pytest.mark.slow
def test_after_a_reboot_an_image_is_merged_again(merged: System) -> None:
    merged.reboot()
    merged.host.sysext.refresh()  # what systemd does automatically
    assert merged.shows(OLD)
    assert not merged.device.status(None).protected
    merged.device.check(None)
    assert merged.shows(NEW)
    assert layer(merged) == "image"


@pytest.mark.slow
def test_an_unmerged_image_leaves_the_base_to_an_update(merged: System) -> None:
    works("system", "unmerge", "--store", merged.store)
    assert merged.shows(OLD)
    assert loops(merged.store) == []
    put({f"{APP}/lib/libcodec.so": "newer"})
    with pytest.raises(Exception, match="1 path differs"):
        merged.device.check(None)
    assert Path(f"/{APP}/lib/libcodec.so").read_text() == "newer"
    assert list(OFFERED.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "damaged", ["content", "superblock", "attribute", "short", "long", "missing"]
)
def test_a_damaged_image_is_built_again_from_the_trees(merged: System, damaged: str) -> None:
    image = image_of(merged)
    merged.reboot()
    number = image.stat().st_ino
    image.chmod(0o644)
    if damaged == "content":
        damage(image, offset_of(image, b"fixed"))
    elif damaged == "superblock":
        damage(image, 1024)
    elif damaged == "attribute":
        try:
            os.setxattr(image, "user.verity.roothash", b"0" * 64)
        except OSError:
            pytest.skip("the store's file system has no user attributes")
    elif damaged == "short":
        os.truncate(image, 4096)
    elif damaged == "long":
        damage(image, 1024)
        os.truncate(image, image.stat().st_size + 4096)
    else:
        image.unlink()
    merged.device.check(None)
    assert merged.shows(NEW)
    assert layer(merged) == "image"
    assert events(merged).count("repaired") == 1
    assert os.listxattr(image) == []
    assert stat.S_IMODE(image.stat().st_mode) == 0o444
    # Repaired in place: a program that has it open has the right content again.
    assert damaged == "missing" or image.stat().st_ino == number


@pytest.mark.slow
def test_if_the_trees_are_damaged_too_nothing_is_merged(merged: System) -> None:
    merged.reboot()
    image = image_of(merged)
    damage(image, offset_of(image, b"fixed"))
    (tree,) = (merged.store / "trees").glob(f"*/{APP}/lib/libextra.so")
    damage(tree, 0)
    merged.device.check(None)
    assert merged.shows(OLD)
    assert SystemExtensions().merged() == {}
    assert not merged.device.status(None).protected
    assert merged.device.status(None).in_force == "26.3.1"
    merged.update()  # the damaged tree is made again
    assert merged.shows(NEW)
    assert layer(merged) == "image"


def test_folders_of_the_base_keep_their_permissions(system: System, unverified: None) -> None:
    Path(f"/{APP}/lib").chmod(0o775)
    system.enroll()
    system.update()
    assert system.shows(NEW)
    assert layer(system) == "folder"
    (activated,) = (e for e in system.device.history(None) if e.event == "activated")
    assert activated.why == (
        f"merged as a folder: /{APP}/lib has another owner or other permissions than in the image"
    )
    assert Path(f"/{APP}/lib").stat().st_mode & 0o7777 == 0o775


def mapping(path: Path) -> subprocess.Popen[bytes]:
    """A program that has a file mapped."""
    code = (
        "import mmap, sys\n"
        f"with open({str(path)!r}, 'rb') as file:\n"
        "    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    return started


@pytest.mark.slow
def test_the_inode_number_shows_which_letter_a_program_has_mapped(merged: System) -> None:
    path = Path(f"/{APP}/lib/libcodec.so")
    with mapping(path) as program:
        assert merged.device.status(None).exposed == ()
        merged.vendor.release({"codec": LATER})
        merged.device.check(None)
        merged.device.install(None, user_initiated=True)
        with pytest.raises(StillRunningError, match=f"\\({program.pid}\\)"):
            merged.device.activate(None)
        (exposed,) = merged.device.status(None).exposed
        assert (exposed.pid, exposed.runs) == (program.pid, "26.3.1 (a)")
        # What it has mapped stays so through another merge, and is known all the same.
        merged.host.sysext.refresh()
        (exposed,) = merged.device.status(None).exposed
        assert (exposed.pid, exposed.runs) == (program.pid, "26.3.1 (a)")
        program.communicate()
    merged.device.activate(None)
    assert merged.shows(LATER)
    with mapping(path) as program:
        assert merged.device.status(None).exposed == ()
        program.communicate()


def test_a_program_on_a_file_of_the_base_is_exposed_whatever_its_inode_number(
    system: System, unverified: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(f"/{APP}/lib/libcodec.so")
    number = path.stat().st_ino
    system.enroll()
    with mapping(path) as program:
        system.device.check(None)
        system.device.install(None, user_initiated=True)
        # As if the image gave the very number that the base's file has.
        monkeypatch.setattr(
            "repoint.device.strategy.sysext.inode_numbers",
            lambda product, generation: {f"{APP}/lib/libcodec.so": number},
        )
        (exposed,) = system.device.status(None).exposed
        assert (exposed.pid, exposed.runs) == (program.pid, "26.3.1")
        program.communicate()


def tampered(vendor: Vendor, change: Callable[[Improvement], Improvement]) -> None:
    """Publish an improvement whose record was changed before it was signed."""
    draft = vendor.improve({"codec": LATER}).draft
    record = encode_record(change(draft.improvement))
    (draft.folder / "improvement.json").write_bytes(record)
    vendor.publish()


@pytest.mark.slow
def test_an_image_that_is_not_the_signed_one_is_not_installed(system: System) -> None:
    def lie(output: Improvement) -> Improvement:
        assert output.extension is not None
        extension = msgspec.structs.replace(output.extension, root_hash="0" * 64)
        return msgspec.structs.replace(output, extension=extension)

    tampered(system.vendor, lie)
    system.enroll()
    system.device.check(None)
    with pytest.raises(NotTrustedError, match="is not the signed one: it has another root hash"):
        system.device.install(None, user_initiated=True)
    assert system.device.status(None).staged == ""
    assert list((system.product.path / "images").iterdir()) == []
    assert system.shows(OLD)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"size": 4096}, {"first": 1}, {"first": 10_000}])
def test_an_image_that_does_not_match_the_layers_is_refused_before_any_download(
    system: System, change: dict[str, int]
) -> None:
    def lie(output: Improvement) -> Improvement:
        assert output.extension is not None
        extension = msgspec.structs.replace(output.extension, **change)
        return msgspec.structs.replace(output, extension=extension)

    tampered(system.vendor, lie)
    system.enroll()
    system.device.check(None)
    system.server.requests.clear()
    with pytest.raises(NotApplicableError, match="do not result in the image that it names"):
        system.device.install(None, user_initiated=True)
    assert not [r for r in system.server.requests if r.path.endswith(".patch")]


def test_a_release_for_another_system_is_not_enrolled(
    system: System, release: Callable[[str], None]
) -> None:
    release("13")
    with pytest.raises(
        EnrolmentRefusedError, match="for the system debian 12, and this is debian 13"
    ):
        system.enroll()
    assert not (system.product.path / "enrolment.json").exists()


@pytest.mark.slow
def test_another_version_of_the_system_is_never_shadowed(
    merged: System, release: Callable[[str], None]
) -> None:
    merged.reboot()
    release("13")
    with pytest.raises(
        EnrolmentRefusedError, match="for the system debian 12, and this is debian 13"
    ):
        merged.device.check(None)
    assert merged.shows(OLD)
    assert SystemExtensions().merged() == {}
    output = [e.why for e in merged.device.history(None) if e.event == "superseded"]
    assert output == ["base: the system is debian 13, not debian 12"]


@pytest.mark.slow
def test_another_version_of_the_system_is_never_shadowed_by_systemd_itself(
    merged: System, release: Callable[[str], None]
) -> None:
    """Even if the image is still offered and Repoint is gone."""
    release("13")
    merged.host.sysext.refresh()
    assert SystemExtensions().merged() == {}
    assert merged.shows(OLD)
