"""Repoint's side: its vendor through the command, its device through the library."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.material import Material
from benchmarks.measuring import run

_DRIVERS = Path(__file__).resolve().parent / "drivers"
_PRODUCT = "acme-kiosk"
_ADVISORY = """\
title = "Security update for image decoding"
[[fix]]
cves = ["CVE-2023-4863"]
component = "pillow"
impact = "Opening a malicious picture may run an attacker's code"
description = "A heap buffer overflow was addressed by updating libwebp to 1.3.2."
"""


@dataclass(frozen=True)
class RepointSide:
    """A vendor and a device that use Repoint."""

    folder: Path
    material: Material

    @property
    def repository(self) -> Path:
        """The vendor's repository."""
        return self.folder / "repository"

    @property
    def public(self) -> Path:
        """What is served."""
        return self.repository / "public"

    @property
    def device(self) -> Path:
        """All files of the device."""
        return self.folder / "device"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands."""
        return {
            "REPOINT_STORE": str(self.device / "store"),
            "REPOINT_REPOSITORY": str(self.repository),
            "REPOINT_PASSPHRASE": "correct horse battery staple",
        }

    def vendor_begins(self) -> None:
        """Make the repository and register the baseline."""
        self.folder.mkdir(parents=True)
        self._repoint("repository", "init", self.repository)
        self._repoint("baseline", "add", _PRODUCT, "--version", "26.3.1", "--build", "25D2128",
                      "--component", f"pillow={self.material.old_wheel}")  # fmt: skip

    def device_begins(self, url: str) -> None:
        """Install the old release, enrol the device, and let it check."""
        graft = self.device / "lib" / "pillow"
        shutil.copytree(self.material.old_tree, graft)
        self._repoint("enroll", url, "--product", _PRODUCT,
                      "--root", self.public / "metadata" / "1.root.json",
                      "--graft", f"pillow={graft}")  # fmt: skip
        self._repoint("check")

    def vendor_publishes(self) -> None:
        """Publish the fix."""
        advisory = self.folder / "advisory.toml"
        advisory.write_text(_ADVISORY)
        self._repoint("improve", _PRODUCT, "--version", "26.3.1",
                      "--component", f"pillow={self.material.new_wheel}",
                      "--advisory", advisory)  # fmt: skip
        self._repoint("publish", _PRODUCT, "--exploited")

    def driver(self, job: str, *arguments: str) -> list[str]:
        """The command of a process that does a job at the device and tells its times."""
        script = str(_DRIVERS / "repoint_device.py")
        return [sys.executable, script, job, str(self.device / "store"), *arguments]

    def command(self, *arguments: str) -> list[str]:
        """The ``repoint`` command as a person starts it."""
        script = Path(sys.executable).with_name("repoint")
        start = [str(script)] if script.exists() else [sys.executable, "-m", "repoint"]
        return [*start, *arguments]

    def _repoint(self, *arguments: str | Path) -> None:
        run([*self.command(), *arguments], environment=self.environment)
