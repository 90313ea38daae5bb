"""A separate system for each test: a mount namespace with its own /opt, /run and store.

The real systemd-sysext runs, on the real /usr and on an /opt that the test fills. Only the test sees
what it mounts, and the mounts end with the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from repoint.device.device import Device
from repoint.device.store.product_state import ProductState
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.base_system import BaseSystem
from repoint.host.host import Host
from repoint.host.systemd.sysext import SystemExtensions
from tests.mounts import private_mounts
from tests.serving import WebServer
from tests.world import PLATFORM, Files, Vendor, big

# The kernel shows the processes of all workers, whatever their mounts: each has a folder of its own.
APP = f"opt/acme{os.environ.get('PYTEST_XDIST_WORKER', '')}"
OLD: Files = {
    f"{APP}/lib/libcodec.so": big(1),
    f"{APP}/lib/libplugin.so": big(2, 9_000),
    f"{APP}/share/table": "old table\n",
}
NEW: Files = {
    f"{APP}/lib/libcodec.so": big(1)[:20_000] + b"fixed" + big(1)[20_000:],
    f"{APP}/lib/libextra.so": big(3, 5_000),
    f"{APP}/share/table": "old table\n",
}


@dataclass
class System:
    """A machine whose /opt holds a component of a product, among files of others."""

    vendor: Vendor
    server: WebServer
    store: Path
    host: Host = field(default_factory=lambda: own_host())  # defined below

    @property
    def device(self) -> Device:
        return Device(self.store, wait=5, host=self.host)

    @property
    def product(self) -> ProductState:
        return self.device.store.product(self.vendor.product)

    def enroll(self) -> None:
        self.device.enroll(
            self.vendor.product, self.server.url, self.vendor.root,
            {"codec": GraftRequest(Path("/"), strategy="sysext")}, BaselineFilter(platform=PLATFORM),
        )  # fmt: skip

    def update(self) -> None:
        self.device.check(None)
        self.device.install(None, user_initiated=True)
        self.device.restart(None)

    def reboot(self) -> None:
        """Remove what does not outlast a boot: mounts and the content of /run."""
        for hierarchy in self.host.sysext.merged():
            run("umount", "--lazy", hierarchy)
        while os.path.ismount("/run/extensions/repoint-acme-kiosk"):
            run("umount", "--lazy", "/run/extensions/repoint-acme-kiosk")
        shutil.rmtree("/run/extensions", ignore_errors=True)
        assert self.host.sysext.merged() == {}

    def shows(self, files: Files) -> bool:
        """Return whether the system shows exactly these files of the component."""
        seen = {str(p.relative_to("/")): p for p in Path("/", APP).rglob("*") if p.is_file()}
        seen = {name: path for name, path in seen.items() if "others" not in name}
        return seen.keys() == files.keys() and all(
            path.read_bytes() == as_bytes(files[name]) for name, path in seen.items()
        )


def own_host(machine_mounts: Path = Path("/proc/thread-self/ns/mnt")) -> Host:
    """This machine, as if all programs saw the mounts of this process.

    The tests have a mount namespace of their own on purpose.
    """
    sysext = SystemExtensions(machine_mounts=machine_mounts)
    return msgspec.structs.replace(Host.local(), sysext=sysext, base=BaseSystem(sysext))


def as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def put(files: Files, root: Path = Path("/")) -> None:
    """Install files as a package manager does."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(as_bytes(content))


@pytest.fixture
def own_mounts() -> Iterator[None]:
    """Everything that is mounted from here on is seen by this test alone."""
    if shutil.which("systemd-sysext") is None:
        pytest.skip("needs systemd-sysext")
    with private_mounts():
        run("mount", "--make-rshared", "/")
        for path in ("/run", "/opt"):
            run("mount", "-t", "tmpfs", "-o", "mode=755", "none", path)
        yield


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    made.baseline({"codec": OLD})
    made.release({"codec": NEW})
    return made


@pytest.fixture
def system(vendor: Vendor, server: WebServer, own_mounts: None, tmp_path: Path) -> System:
    store = tmp_path / "system"
    store.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", str(store))
    put(OLD)
    put({f"{APP}/lib/others.so": "of others", "opt/others/file": "of others"})
    return System(vendor, server, store / "store")


@pytest.fixture
def release() -> Callable[[str], None]:
    """Return a function that changes the version in os-release(5)."""

    def say(version: str) -> None:
        beside = Path("/run/os-release")
        beside.write_text(f'ID=debian\nVERSION_ID="{version}"\n')
        for name in ("/etc/os-release", "/usr/lib/os-release"):
            run("mount", "--bind", str(beside), os.path.realpath(name))

    return say
