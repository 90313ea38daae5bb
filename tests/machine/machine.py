"""A machine in an emulator, and its remote control."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.machine.image import Image

BOOT_SECONDS = 900.0
"""Without the processor's help an emulated machine is slow, and a busy one slower still."""


class Machine:
    """A running machine.

    Args:
        image: The image; its disk is copied once.
        folder: The folder for its disk, console and sockets.
    """

    def __init__(self, image: Image, folder: Path) -> None:
        self.image = image
        self.folder = folder
        self.disk = folder / "machine.raw"
        if not self.disk.exists():
            shutil.copy(image.disk, self.disk)
        self._port: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Switch it on, wait until it accepts commands, and return the seconds that took."""
        started = time.monotonic()
        self._switch_on(started)
        self._line(started)
        return time.monotonic() - started

    def drive(self) -> list[str]:
        """Return the option for its disk, without a cache on the host."""
        return ["-drive", f"file={self.disk},format=raw,if=virtio,cache=directsync"]

    def _switch_on(self, started: float) -> None:
        control = self.folder / "control"
        control.unlink(missing_ok=True)
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                ["qemu-system-x86_64", "-accel", "tcg,thread=multi",
                 # NumPy needs more than the most basic processor model.
                 "-cpu", "max", "-m", "1024", "-smp", "2",
                 "-display", "none", "-no-reboot", "-kernel", str(self.image.kernel),
                 "-initrd", str(self.image.initrd),
                 "-append",
                 # The kernel's check of its timer fails on a busy host.
                 f"{self._root()} console=ttyS0 quiet no_timer_check panic=-1",
                 *self._fixed_drives(), *self.drive(),
                 "-nic", "user,model=virtio-net-pci",
                 "-serial", "stdio", "-serial", f"unix:{control},server=on,wait=off"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        while not control.exists():
            self._require_running(started)
            time.sleep(0.1)
        self._port = socket.socket(socket.AF_UNIX)
        self._port.connect(str(control))

    def run(self, command: str, *, status: int = 0) -> str:
        """Run a command in it as root and return its output."""
        assert self._port is not None
        self._port.sendall(json.dumps(command).encode() + b"\n")
        printed = json.loads(self._line(time.monotonic()))
        assert printed["status"] == status, f"{command}: {printed}"
        return str(printed["out"])

    def restart(self) -> float:
        """Restart it, as a person would."""
        assert self._port is not None
        self._port.sendall(json.dumps("systemctl --no-block reboot").encode() + b"\n")
        return self.wait_for_restart()

    def wait_for_restart(self) -> float:
        """Wait until it restarts on its own, and return the seconds of the start."""
        assert self._process is not None
        self._process.wait(BOOT_SECONDS)
        self.stop()
        return self.start()

    def cut_power(self) -> None:
        """Cut its power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.stop()

    def stop(self) -> None:
        """Close the sockets and the console."""
        if self._port is not None:
            self._port.close()
            self._port = None
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _root(self) -> str:
        if self.image.root is None:
            return "root=/dev/vda rw"
        return f"root=/dev/mapper/root ro verity={self.image.root_hash}"

    def _fixed_drives(self) -> list[str]:
        fixed = [] if self.image.root is None else [self.image.root, self.image.hashes]
        drives = [f"file={path},format=raw,if=virtio,readonly=on" for path in fixed]
        return [word for drive in drives for word in ("-drive", drive)]

    def _line(self, started: float) -> bytes:
        assert self._port is not None
        self._port.settimeout(1)
        line = b""
        while not line.endswith(b"\n"):
            self._require_running(started)
            try:
                line += self._port.recv(65536)
            except TimeoutError:
                continue
        return line

    def _require_running(self, started: float) -> None:
        assert self._process is not None
        if self._process.poll() is not None or time.monotonic() - started > BOOT_SECONDS:
            tail = (self.folder / "console").read_bytes()[-3000:].decode(errors="replace")
            raise SystemExit(f"The machine does not answer; its console says:\n{tail}")
