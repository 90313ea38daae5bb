"""A device for tests: a product at its graft point, a store, and programs that run from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.device import Device
from repoint.device.outcomes import Nothing
from repoint.device.store.product_state import ProductState
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.host import Host
from tests.serving import WebServer
from tests.world import OLD, PLATFORM, Files, Vendor, write_tree


def reason_of(result: object) -> str:
    """Return why an operation found nothing to do."""
    assert isinstance(result, Nothing)
    return result.reason


@dataclass
class Place:
    """A device: a folder with a product at its graft point, and a store."""

    folder: Path
    server: WebServer
    vendor: Vendor
    host: Host | None = None
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def graft(self) -> Path:
        return self.folder / "app/engine"

    @property
    def device(self) -> Device:
        return Device(self.folder / "store", wait=5, host=self.host)

    @property
    def product(self) -> ProductState:
        return self.device.store.product(self.vendor.product)

    def put(self, files: Files | None = None) -> None:
        if self.graft.is_symlink():
            self.graft.unlink()
        write_tree(self.graft, OLD if files is None else files)

    def enroll(self, **wanted: str) -> None:
        self.device.enroll(
            self.vendor.product,
            self.server.url,
            self.vendor.root,
            {"engine": GraftRequest(self.graft)},
            BaselineFilter(platform=PLATFORM, **wanted),
        )

    def text(self, path: str = "main.py") -> str:
        return (self.graft / path).read_text()

    def update(self) -> None:
        """Check, install, restart."""
        self.device.check(None)
        self.device.install(None, user_initiated=True)
        self.device.restart(None)

    def run(self, code: str, *, launched: bool, arguments: tuple[str, ...] = ()) -> int:
        """Start a program that has a file of the component open as code: mapped and executable."""
        command = [sys.executable, "-c", code, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(self.graft), "PYTHONDONTWRITEBYTECODE": "1"}
        if launched:
            own = os.pathsep.join(sys.path)
            environment["REPOINT_STORE"] = str(self.folder / "store")
            environment["PYTHONPATH"] = f"{self.graft}{os.pathsep}{own}"
            command = [sys.executable, "-m", "repoint", "launch", *command]
        program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        self.programs.append(program)
        assert program.stdout is not None
        assert program.stdout.readline().strip() == b"ready"
        return program.pid

    def stop(self) -> None:
        for program in self.programs:
            program.send_signal(signal.SIGKILL)
            program.wait()
            if program.stdout is not None:
                program.stdout.close()
        self.programs.clear()


def enrolled_place(folder: Path) -> Place:
    """Return an enrolled device with a vendor and a server of its own; the caller closes it."""
    vendor = Vendor(folder / "vendor")
    vendor.baseline()
    place = Place(folder / "device", WebServer(vendor.public), vendor)
    place.put()
    place.enroll()
    return place


MAPS_A_LIBRARY = """
import mmap, sys, time
places = [path for path in sys.path if path.rstrip('/').endswith('engine') or '/trees/' in path]
with open(places[0] + '/lib/engine.so', 'rb') as file:
    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print('ready', flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within ten seconds"
        time.sleep(0.02)
