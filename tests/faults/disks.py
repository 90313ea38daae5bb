"""Power cuts on real file systems: `make faults-disks`, as root.

Each operation runs on a separate file system in an image file. The image contains only what was
written to the disk; what is only in the kernel's memory is not in it. So a copy of the image, made
while the operation is stopped at a call, is the disk as a power cut at that call would leave it. Each
copy is mounted, which replays the journal, and checked as the next start would check it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.judging import Finding, Judge
from tests.faults.quickly import be_quick
from tests.faults.running import scene_names, scenes
from tests.faults.scenes import Ground, Scene
from tests.faults.serving import served
from tests.faults.tracing import Call, Decision, run_traced

FILE_SYSTEMS: dict[str, tuple[int, list[str], str]] = {
    "ext4": (96, ["mkfs.ext4", "-q", "-F"], "defaults"),
    "ext4, data=writeback": (96, ["mkfs.ext4", "-q", "-F"], "data=writeback"),
    "XFS": (320, ["mkfs.xfs", "-q", "-f"], "nouuid"),
    "btrfs": (320, ["mkfs.btrfs", "-q", "-f"], "defaults"),
}
"""Size of the image in MiB, how it is made, and how it is mounted."""


class Disk(Ground):
    """A separate file system mounted at the folder of a scene."""

    def __init__(self, scene: Scene, kind: str, images: Path) -> None:
        self.scene = scene
        self.image = images / "disk"
        self.kept = images / "before"
        self._options = FILE_SYSTEMS[kind][2]
        size, make, _ = FILE_SYSTEMS[kind]
        with self.image.open("wb") as file:
            file.truncate(size << 20)
        subprocess.run([*make, self.image], check=True)
        scene.folder.mkdir(parents=True, exist_ok=True)
        self._mount()
        found = scene.folder / "lost+found"
        if found.exists():
            found.rmdir()
        scene.prepare()
        self.unmount()
        self.keep(self.kept)
        self._mount()

    def put(self, kept: Path) -> None:
        """Copy a disk into place and mount it."""
        self.unmount()
        _copy(kept, self.image)
        self._mount()

    def keep(self, place: Path) -> None:
        """Copy the disk in its present state."""
        _copy(self.image, place)

    def unmount(self) -> None:
        """Unmount and remove the disk."""
        subprocess.run(["umount", self.scene.folder], check=True)

    def _mount(self) -> None:
        options = f"loop,{self._options}"
        subprocess.run(["mount", "-o", options, self.image, self.scene.folder], check=True)


def cut(judge: Judge, disk: Disk, images: Path, every: int) -> tuple[int, list[Finding]]:
    """Cut the power before every n-th call of an operation, and after the last call."""
    disk.restore()
    calls: list[Call] = []

    def decide(call: Call) -> Decision:
        calls.append(call)
        if call.number % every == 0:
            disk.keep(images / f"cut{call.number}")
        return "go"

    run_traced(judge.scene.act, judge.scene.folder, decide, judge.scene.expected_errors)
    disk.keep(images / "cut0")
    findings = []
    kept = sorted(images.glob("cut*"), key=lambda path: int(path.name[3:]))
    for image in kept:
        disk.put(image)
        number = int(image.name[3:])
        wrong = []
        if number == 0 and judge.scene.position() != judge.after:
            wrong.append(f"it was done, but the disk holds {judge.scene.position()}")
        wrong += judge.aftermath(settle=True)
        place = str(calls[number - 1]) if number else "the end"
        findings += [Finding(judge.scene.name, "power cut before", number, place, w) for w in wrong]
        image.unlink()
    return len(kept), findings


def main() -> int:
    """Run the selected operations; return 1 if any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.disks", description=__doc__)
    parser.add_argument("--only", action="append", choices=scene_names(), help="one operation")
    parser.add_argument("--kind", action="append", choices=list(FILE_SYSTEMS))
    parser.add_argument("--every", type=int, default=1, help="each so manyth call (default: all)")
    arguments = parser.parse_args()
    be_quick()
    wrong = 0
    for kind in arguments.kind or FILE_SYSTEMS:
        if shutil.which(FILE_SYSTEMS[kind][1][0]) is None:
            print(f"{kind}: {FILE_SYSTEMS[kind][1][0]} is not installed", flush=True)
            continue
        cuts = 0
        for name in arguments.only or scene_names():
            with _places() as (base, images), served(base) as url:
                scene = scenes(base, url)[name]()
                disk = Disk(scene, kind, images)
                try:
                    number, findings = cut(Judge(scene, disk), disk, images, arguments.every)
                finally:
                    disk.unmount()
            cuts += number
            wrong += len(findings)
            for finding in findings[:5]:
                print(f"  ! {kind}: {str(finding)[:600]}", flush=True)
            print(f"{kind}, {name}: {number} power cuts, {len(findings)} wrong", flush=True)
        print(f"{kind}: {cuts} power cuts", flush=True)
    return int(wrong > 0)


@contextmanager
def _places() -> Iterator[tuple[Path, Path]]:
    """Yield a folder for mounts and a folder for images, the latter in memory if there is enough."""
    above = Path("/dev/shm")
    memory = str(above) if above.is_dir() and shutil.disk_usage(above).free > 8 << 30 else None
    with (
        tempfile.TemporaryDirectory(prefix="disks-") as base,
        tempfile.TemporaryDirectory(prefix="images-", dir=memory) as images,
    ):
        yield Path(base), Path(images)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


if __name__ == "__main__":
    sys.exit(main())
