"""The other side: tufup, in an environment of its own, through its own interfaces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.material import NEW, OLD, Material
from benchmarks.measuring import run

_HERE = Path(__file__).resolve().parent
_REQUIREMENTS = _HERE / "tufup.txt"


@dataclass(frozen=True)
class TufupSide:
    """A vendor and a device that use tufup."""

    folder: Path
    material: Material
    cache: Path

    @property
    def public(self) -> Path:
        """What is served."""
        return self.folder / "vendor" / "repository"

    @property
    def device(self) -> Path:
        """All files of the device."""
        return self.folder / "device"

    @property
    def extracted(self) -> Path:
        """Where an update waits for the application to put it into place."""
        return self.device / "extracted"

    def vendor_begins(self) -> None:
        """Make the repository and add the old release."""
        _make_environment(self._environment)
        (self.folder / "vendor").mkdir(parents=True)
        self._vendor("begin", OLD, self.material.old_tree)

    def device_begins(self, url: str) -> None:
        """Install the old release, with its archive and the trusted root, and let it check."""
        for name in ("metadata", "targets", "extracted"):
            (self.device / name).mkdir(parents=True)
        shutil.copytree(self.material.old_tree, self.device / "app")
        shutil.copy(self.public / "metadata" / "root.json", self.device / "metadata")
        shutil.copy(self.public / "targets" / f"pillow-{OLD}.tar.gz", self.device / "targets")
        (self.device / "settings.json").write_text(json.dumps({"url": url, "version": OLD}))
        run(self.driver("check"))

    def vendor_publishes(self) -> None:
        """Add the fixed release."""
        self._vendor("publish", NEW, self.material.new_tree)

    def driver(self, job: str) -> list[str]:
        """The command of a process that does a job at the device and tells its times."""
        script = str(_HERE / "drivers" / "tufup_device.py")
        return [str(self._python), script, job, str(self.device)]

    def _vendor(self, job: str, version: str, tree: Path) -> None:
        script = _HERE / "drivers" / "tufup_vendor.py"
        run([self._python, script, job, version, tree], cwd=self.folder / "vendor")

    @property
    def _environment(self) -> Path:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return self.cache / f"tufup-python{python}"

    @property
    def _python(self) -> Path:
        return self._environment / "bin" / "python"


def _make_environment(place: Path) -> None:
    """Install what `tufup.txt` names, once."""
    ready = place / "installed.txt"
    wanted = _REQUIREMENTS.read_text()
    if ready.exists() and ready.read_text() == wanted:
        return
    run([sys.executable, "-m", "venv", "--clear", place])
    # Its progress and complaints are for the person who waits.
    subprocess.run(
        [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", "-r", str(_REQUIREMENTS)], check=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ready.write_text(wanted)
