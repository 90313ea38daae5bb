"""Both sides set up alike: a vendor with a repository, and a device that has been in the field.

Each device was installed with the old release and has checked once, while there was nothing new;
then the vendor published the fix. That state is kept, and every measurement starts from a copy.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.material import Material, prepare
from benchmarks.measuring import run, settle
from benchmarks.repoint_side import RepointSide
from benchmarks.serving import Server, serving
from benchmarks.tufup_side import TufupSide
from repoint.fs.removal import remove_tree


@dataclass(frozen=True)
class Device:
    """A device's files, and a copy of how they were when the fix had just been published."""

    folder: Path

    @property
    def _kept(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.kept")

    def keep(self) -> None:
        """Keep the state as it is."""
        run(["cp", "-a", self.folder, self._kept])

    def reset(self) -> None:
        """Go back to the state that was kept, with nothing waiting for the disk."""
        remove_tree(self.folder)
        run(["cp", "-a", self._kept, self.folder])
        settle()


@dataclass(frozen=True)
class Scene:
    """All there is to measure with."""

    material: Material
    server: Server
    repoint: RepointSide
    tufup: TufupSide
    repoint_device: Device
    tufup_device: Device


@contextlib.contextmanager
def set_up(wheels: Path, cache: Path) -> Iterator[Scene]:
    """Set up both sides in a folder below ``cache``, which is removed at the end."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=cache))
    try:
        material = prepare(wheels, folder / "trees")
        repoint = RepointSide(folder / "repoint", material)
        tufup = TufupSide(folder / "tufup", material, cache)
        folders = {
            "repoint": repoint.public,
            "tufup": tufup.public,
            "wheels": material.new_wheel.parent,
        }
        with serving(folders) as server:
            for side, name in ((repoint, "repoint"), (tufup, "tufup")):
                side.vendor_begins()
                side.device_begins(f"{server.url}/{name}")
                side.vendor_publishes()
            devices = Device(repoint.device), Device(tufup.device)
            for device in devices:
                device.keep()
            yield Scene(material, server, repoint, tufup, *devices)
    finally:
        remove_tree(folder)
        shutil.rmtree(folder, ignore_errors=True)
