"""The operations of a letter on trial: begun, confirmed, taken back, and given up after resets.

The machine's systemd is played: how services go, and which start of the machine it is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec

from repoint.device.activate import confirmation
from repoint.device.activate.trial import TRIES
from repoint.device.errors import HealthCheckError
from repoint.device.store.records import Trial
from repoint.device.update.enroll import BaselineFilter, GraftRequest
from repoint.host import systemd
from repoint.model.errors import RepointError
from tests.faults.device_scenes import BASE, FIXED, OLD, A, DeviceScene
from tests.faults.scenes import Image
from tests.world import PLATFORM

HANGS = "ActiveState=activating\nStateChangeTimestampMonotonic=1\nJob=7\n"
STEADY = "ActiveState=active\nStateChangeTimestampMonotonic=1\nResult=success\n"
FAILED = "ActiveState=failed\nStateChangeTimestampMonotonic=1\nResult=timeout\n"


class TrialScene(DeviceScene):
    """A product that a service uses, on a machine that systemd runs.

    Attributes:
        service: How the service goes in the operation, in the words of `systemctl show`.
        boot: Which start of the machine the operation is in.
    """

    service = HANGS
    boot = "boot 1"
    expected: tuple[type[RepointError], ...] = ()

    def enroll(self) -> None:
        self._play(HANGS, "boot 1")
        program = ("systemctl", "restart", "acme")
        grafts = {c: GraftRequest(self.graft(c), program) for c in BASE}
        self.device.enroll(
            self.vendor.product,
            self.url,
            self.vendor.root,
            grafts,
            BaselineFilter(platform=PLATFORM),
        )

    def act(self) -> object:
        self._play(self.service, self.boot)
        return super().act()

    def settle(self) -> None:
        self._play(self.service, self.boot)
        super().settle()

    def image(self) -> Image:
        found = super().image()
        for path in [path for path in found if path.endswith("trial.json")]:
            trial = msgspec.json.decode((self.folder / path).read_bytes(), type=Trial)
            found[path] = str(msgspec.structs.replace(trial, began=0))
        return found

    def starts(self, boot: str) -> None:
        """A start of the machine, and its unit."""
        self._play(HANGS, boot)
        self.device.settle()

    def _play(self, service: str, boot: str) -> None:
        # Each operation is judged in a process of its own.
        said = {"is-system-running": "running\n", "show": service}

        def run(_: int | None, *words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(words, 0, said.get(words[0], ""), "")

        systemd._run = run
        systemd._BOOTED = Path("/")
        systemd.shutil = SimpleNamespace(which=lambda name: name)  # type: ignore[assignment]
        confirmation._boot = lambda: boot


class Confirming(TrialScene):
    service = STEADY


class Failing(TrialScene):
    service = FAILED
    expected = (HealthCheckError,)


class GivingUp(TrialScene):
    expected = (HealthCheckError,)
    boot = f"boot {TRIES + 1}"


def trial_scenes(base: Path, served: str) -> dict[str, Callable[[], DeviceScene]]:
    """The operations by name; each is made when it is asked for."""
    labels = {OLD: BASE, A: FIXED}
    kinds: dict[str, tuple[type[TrialScene], Callable[[DeviceScene], None]]] = {
        "try": (TrialScene, _waiting),
        "confirm": (Confirming, _on_trial),
        "fail a trial": (Failing, _on_trial),
        "give up": (GivingUp, _reset),
    }

    def made(name: str) -> DeviceScene:
        kind, before = kinds[name]
        slug = name.replace(" ", "-")
        return kind(name, base / slug, f"{served}/{slug}", labels, before, _settle)

    return {name: lambda name=name: made(name) for name in kinds}  # type: ignore[misc]


def _settle(scene: DeviceScene) -> object:
    """What the machine's unit does."""
    for _, failure in scene.device.settle():
        if failure is not None:
            raise failure
    return None


def _waiting(scene: DeviceScene) -> None:
    scene.vendor.baseline(BASE, restart="service")
    scene.vendor.release(FIXED)
    scene.put(BASE)
    scene.enroll()
    scene.device.check(None)
    scene.device.install(None, user_initiated=True)


def _on_trial(scene: DeviceScene) -> None:
    assert isinstance(scene, TrialScene)
    _waiting(scene)
    scene.starts("boot 1")


def _reset(scene: DeviceScene) -> None:
    assert isinstance(scene, TrialScene)
    _on_trial(scene)
    for number in range(2, TRIES + 1):
        scene.starts(f"boot {number}")
