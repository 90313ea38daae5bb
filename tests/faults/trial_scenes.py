"""The operations of a letter on trial: begun, confirmed, taken back, and given up after resets.

The machine's systemd is played: how services go, and which start of the machine it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import msgspec

from repoint.device.activate.trial import TRIES
from repoint.device.errors import HealthCheckError
from repoint.device.store.records import Trial
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.host import Host
from repoint.model.errors import RepointError
from tests.faults.device_scenes import BASE, FIXED, OLD, A, DeviceScene
from tests.faults.scenes import Image
from tests.played_host import FAILED, HANGS, STEADY, PlayedMachine
from tests.world import PLATFORM


class TrialScene(DeviceScene):
    """A product that a service uses, on a machine that systemd runs.

    Attributes:
        service: How the service goes in the operation, in the words of `systemctl show`.
        boot: Which start of the machine the operation is in.
    """

    service = HANGS
    boot = 1
    expected: tuple[type[RepointError], ...] = ()

    @functools.cached_property
    def machine(self) -> PlayedMachine:
        return PlayedMachine()

    @property
    def host(self) -> Host:
        return self.machine.host

    def enroll(self) -> None:
        self._play(HANGS, 1)
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

    def starts(self, boot: int) -> None:
        """A start of the machine, and its unit."""
        self._play(HANGS, boot)
        self.device.boot.merge()

    def _play(self, service: str, boot: int) -> None:
        # Each operation is judged in a process of its own.
        self.machine.service = service
        self.machine.boots = boot


class Confirming(TrialScene):
    service = STEADY


class Failing(TrialScene):
    service = FAILED
    expected = (HealthCheckError,)


class GivingUp(TrialScene):
    expected = (HealthCheckError,)
    boot = TRIES + 1


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

    return {name: functools.partial(made, name) for name in kinds}


def _settle(scene: DeviceScene) -> object:
    """What the machine's unit does."""
    for _, failure in scene.device.boot.merge():
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
    scene.starts(1)


def _reset(scene: DeviceScene) -> None:
    assert isinstance(scene, TrialScene)
    _on_trial(scene)
    for number in range(2, TRIES + 1):
        scene.starts(number)
