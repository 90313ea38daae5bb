"""The operations on what a device keeps for its fleet: an event is noted, and all of it is dropped."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from repoint.device.report.spool import MAX_SPOOL, Spool
from tests.faults.device_scenes import BASE, FIXED, OLD, A, DeviceScene
from tests.faults.scenes import Image

FLEET = "https://fleet.example.org"


class ReportScene(DeviceScene):
    """A device whose owner has consented to reports."""

    @property
    def reports(self) -> Path:
        return self.device.store.product(self.product).path / "reports"

    def spool(self) -> Spool | None:
        """Return what is on disk; None if it is gone. Half a spool raises."""
        try:
            return msgspec.json.decode((self.reports / "spool.json").read_bytes(), type=Spool)
        except FileNotFoundError:
            return None

    def position(self) -> tuple[object, ...]:
        return (*super().position(), self._spool())

    def wrong(self) -> Iterator[str]:
        yield from super().wrong()
        try:
            self.spool()
        except msgspec.DecodeError as error:
            yield f"the spool is not whole: {error}"
            return
        for path in self.reports.glob("*"):
            if path.stat().st_size > MAX_SPOOL:
                yield f"{path.name} is larger than it may be"
            if not path.name.startswith(".") and stat.S_IMODE(path.stat().st_mode) != 0o600:
                yield f"{path.name} is not private"

    def image(self) -> Image:
        found = super().image()
        for path in found:
            if path.endswith("reports/spool.json"):
                found[path] = f"{found[path].partition(' ')[0]} {self._spool()}"
        return found

    def _spool(self) -> str:
        """Return what the spool says without what is drawn by chance."""
        spool = self.spool()
        if spool is None:
            return "nothing"
        waiting = [(w.report.kind, w.report.letter, w.report.failure) for w in spool.waiting]
        owed = [(deletion.address, len(deletion.ids)) for deletion in spool.deletions]
        return f"{spool.address} {spool.history} {waiting} {owed}"


def _consented(scene: DeviceScene) -> None:
    scene.vendor.baseline(BASE)
    scene.vendor.release(FIXED)
    scene.put(BASE)
    scene.enroll()
    scene.device.reports.turn_on(None, FLEET)
    scene.update()


def _noted(scene: DeviceScene) -> None:
    _consented(scene)
    scene.device.reports.note(scene.product)


def report_scenes(base: Path, served: str) -> dict[str, Callable[[], ReportScene]]:
    """Return the operations by name; each is built on demand."""

    def scene(
        name: str,
        before: Callable[[DeviceScene], None],
        operation: Callable[[DeviceScene], object],
    ) -> tuple[str, Callable[[], ReportScene]]:
        slug = name.replace(" ", "-")
        labels = {OLD: BASE, A: FIXED}
        place, url = base / slug, f"{served}/{slug}"
        return name, lambda: ReportScene(name, place, url, labels, before, operation)

    return dict(
        [
            scene("note reports", _consented, lambda s: s.device.reports.note(s.product)),
            scene("drop reports", _noted, lambda s: s.device.reports.turn_off(None)),
        ]
    )
