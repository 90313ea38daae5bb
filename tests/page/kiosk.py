"""The product of the main job on a device: a picture viewer, and a real fix for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from demo.demo import (
    NEW,
    OLD,
    Demo,
    device_starts,
    download,
    make_removable,
    stop_viewer,
    vendor_prepares,
    vendor_publishes,
)

from tests.serving import WebServer

WHEELS = Path(__file__).parents[2] / ".cache/wheels"


@dataclass
class Kiosk:
    """A device whose picture viewer runs the old code, and which knows about the fix."""

    demo: Demo
    server: WebServer

    @property
    def store(self) -> Path:
        return self.demo.folder / "device/store"

    def hold_download(self) -> None:
        """Stall the download of the patch half way, until the test sets `server.go_on`."""
        self.server.stall_after.append(100_000)


def vendor_folder(shared: Path) -> Path:
    """Prepare the vendor's side once for all processes of a test run, because a patch takes a while."""
    folder = shared / "vendor"
    with open(shared / "vendor.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            vendor = Demo(folder, WHEELS)
            old, new = wheels()
            vendor_prepares(vendor, old)
            vendor_publishes(vendor, new)
            (folder / "done").touch()
    return folder


def wheels() -> tuple[Path, Path]:
    """The real wheels, from the package index."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    with open(WHEELS / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return download(WHEELS, OLD), download(WHEELS, NEW)
        except SystemExit as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))


@contextlib.contextmanager
def kiosk(folder: Path, vendor: Path) -> Iterator[Kiosk]:
    """A device until the end of the block."""
    server = WebServer(vendor / "repository/public")
    demo = Demo(folder, WHEELS)
    (folder / "repository").symlink_to(vendor / "repository")
    try:
        device_starts(demo, wheels()[0], server.url)
        # A round of the agent that only looks, so that the device knows and is known to be cared for.
        demo.repoint("settings", "automatic", "off")
        demo.repoint("agent", "run-once")
        demo.repoint("settings", "automatic", "on")
        yield Kiosk(demo, server)
    finally:
        server.go_on.set()
        stop_viewer(demo)
        server.close()
        make_removable(folder)
