"""Operations of a device on a product of two components."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from repoint.device.device import Device
from repoint.device.errors import (
    EnrolmentRefusedError,
    HealthCheckError,
    NotEnrolledError,
)
from repoint.device.store.records import UserSettings
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.host import Host
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from repoint.tree.digest import seal_of
from repoint.tree.privileges import with_privileges
from repoint.tree.scan import scan_tree
from tests.faults.scenes import Image, clear, picture
from tests.world import PLATFORM, Files, Vendor, big, write_tree

NOW = int(time.time())
NEXT = BaselineName(PLATFORM, "26.3.2", "25D2140")
Trees = dict[str, Files]
Seals = dict[str, str]

BASE: Trees = {
    "engine": {"main.py": "VERSION = 'old'\n", "lib/a.so": big(1, 900), "lib/b.so": big(2, 900)},
    "shell": {"bin/kiosk": "#!/bin/sh\necho old\n", "kiosk.conf": "colour = blue\n"},
}
FIXED: Trees = {
    "engine": {
        "main.py": "VERSION = 'new'\n",
        "lib/a.so": big(1, 900),
        "lib/b-2.so": big(2, 900)[:-1],
        "lib/more/c.so": big(3, 500),
    },
    "shell": {"bin/kiosk": "#!/bin/sh\necho new\n", "kiosk.conf": "colour = blue\n"},
}
AGAIN: Trees = {**FIXED, "engine": {**FIXED["engine"], "main.py": "VERSION = 'newer'\n"}}
UPDATED: Trees = {**FIXED, "engine": {**FIXED["engine"], "main.py": "VERSION = 'next'\n"}}
BROKEN: Trees = {**FIXED, "engine": {**FIXED["engine"], "broken": "yes\n"}}


class Maker(Vendor):
    """A vendor whose trees also contain a link and a program with privileges."""

    def source(self, files: Files) -> Path:
        return dress(super().source(files))


def dress(tree: Path) -> Path:
    """Add what a dictionary of files cannot express."""
    (tree / "current").symlink_to("main.py" if (tree / "main.py").exists() else "bin/kiosk")
    for program in tree.glob("bin/*"):
        program.chmod(0o4755)
    return tree


class DeviceScene:
    """A device with its store, and one operation on it.

    Args:
        name: The operation.
        base: A folder for the vendor and the device.
        served: The address at which ``base`` is served.
        labels: The states that may be in force at any instant: label to trees.
        before: Brings the vendor and the device to the state before the operation.
        operation: The operation.
    """

    expected: tuple[type[RepointError], ...] = ()
    done: tuple[type[RepointError], ...] = ()
    settles = False
    expected_errors: tuple[type[Exception], ...] = (RepointError,)
    components = tuple(BASE)

    def __init__(
        self,
        name: str,
        base: Path,
        served: str,
        labels: dict[str, Trees],
        before: Callable[[DeviceScene], None],
        operation: Callable[[DeviceScene], object],
    ) -> None:
        self.name = name
        self.folder = base / "device"
        self.url = f"{served}/vendor/repository/public"
        self._now = NOW
        self._before = before
        self._operation = operation
        self.vendor = Maker(base / "vendor")
        self.product = self.vendor.product
        self.seals: dict[str, Seals] = {
            label: {c: seal_of(scan_tree(self.vendor.source(f))) for c, f in trees.items()}
            for label, trees in labels.items()
        }

    @property
    def host(self) -> Host | None:
        """The machine; this one if None."""
        return None

    @property
    def device(self) -> Device:
        return Device(self.folder / "store", clock=lambda: self._now, wait=5, host=self.host)

    def graft(self, component: str) -> Path:
        return self.folder / "app" / component

    def standing(self, component: str) -> str:
        """Return the seal of the component's files as programs see them."""
        return seal_of(scan_tree(self.graft(component).resolve(strict=True)))

    def put(self, trees: Trees) -> None:
        """Install the product as its vendor ships it."""
        for component, files in trees.items():
            if self.graft(component).is_symlink():
                self.graft(component).unlink()
            dress(write_tree(self.graft(component), files))

    def enroll(self) -> None:
        grafts = {c: GraftRequest(self.graft(c)) for c in BASE}
        wanted = BaselineFilter(platform=PLATFORM)
        self.device.enroll(self.vendor.product, self.url, self.vendor.root, grafts, wanted)

    def update(self) -> None:
        """Check, install, activate."""
        self.device.check(None)
        self.device.install(None, user_initiated=True)
        self.device.activate(None)

    def prepare(self) -> None:
        self._now = NOW
        self._before(self)
        self._now = NOW + 1000

    def act(self) -> object:
        return self._operation(self)

    def position(self) -> tuple[object, ...]:
        product = self.device.store.product(self.product)
        links = [
            str(self.graft(c).readlink()) for c in self.components if self.graft(c).is_symlink()
        ]
        if not product.is_enrolled():
            return "not enrolled", links
        mark = any((product.path / "marks").glob("[!.]*"))
        return product.links.active(), product.links.staged(), mark, links

    def wrong(self) -> Iterator[str]:
        found = {}
        for component in self.components:
            try:
                found[component] = self.standing(component)
            except (OSError, RepointError) as error:
                yield f"{component} cannot be read at its graft point: {error}"
                return
        running = [label for label, seals in self.seals.items() if seals == found]
        if not running:
            state = {c: self._called(c, seal) for c, seal in found.items()}
            yield f"what stands at the graft points is neither old nor new: {state}"
            return
        if self.device.store.product(self.product).is_enrolled():
            yield from self._status(running[0])

    def _called(self, component: str, seal: str) -> str:
        return next((n for n, seals in self.seals.items() if seals[component] == seal), "unknown")

    def _status(self, running: str) -> Iterator[str]:
        try:
            status = self.device.status(None)
        except RepointError as error:
            yield f"status does not work: {error}"
            return
        in_place = all(graft.in_place for graft in status.grafts)
        if in_place and status.in_force != running:
            yield f"status says that {status.in_force} is in force, but it is {running}"
        product = self.device.store.product(self.product)
        staged = product.links.staged()
        if (staged.label if staged else "") != status.staged:
            yield f"status says that {status.staged!r} is staged"
        for generation in filter(None, (product.links.active(), staged)):
            for component, seal in product.generations.seals(generation).items():
                try:
                    found = scan_tree(product.store.tree(seal))
                except RepointError as error:
                    yield f"the tree of {component} in {generation.label} is not there: {error}"
                    continue
                if generation == staged:  # its programs get their privileges when it is active
                    wanted = product.generations.entries(generation, component)
                    found = with_privileges(found, wanted)
                if seal_of(found) != seal:
                    yield f"the tree of {component} in {generation.label} has another seal"
        if status.protected and not in_place:
            yield "status says protected although a graft point is not ours"
        fixed = all(cve.state == "in force" for cve in status.cves)
        # While the record of what is offered could not be had, nobody knows what it fixes.
        known = status.checked and status.verdict != "unchecked"
        if status.protected != (known and in_place and fixed and not status.staged):
            yield f"status says protected={status.protected}, but {status.cves}"
        for cve in status.cves:
            if cve.state == "in force" and running < cve.improvement:
                yield f"status says that {cve.cve} is fixed, but {running} is in force"
            if cve.state == "waiting for restart" and status.staged < cve.improvement:
                yield f"status says that {cve.cve} waits for a restart, but nothing does"
        history = product.history.entries()
        doubled = [e for n, e in enumerate(history) if e in history[:n]]
        if doubled:
            yield f"the history says twice: {doubled[0].event} {doubled[0].label}"

    def note_end(self) -> None:
        """Do nothing: the labels already name the states that may be in force."""

    def settle(self) -> None:
        with contextlib.suppress(NotEnrolledError):
            self.device.check(None)

    def image(self) -> Image:
        return without_order(picture(self.folder, without=("store/lock",)), self.folder)


def without_order(found: Image, folder: Path) -> Image:
    """Return an image without what depends on the number of attempts."""
    # TUF's chain of roots, from the pinned one to the newest; and the clock at a switch, which a
    # device can do without.
    found = {
        path: state
        for path, state in found.items()
        if "/metadata/root" not in path and not path.endswith("/switch.json")
    }
    for path in [path for path in found if path.endswith("history.jsonl")]:
        lines = (folder / path).read_bytes().splitlines()
        entries = [json.loads(line) for line in lines if line.endswith(b"}")]
        found[path] = "; ".join(sorted(f"{line['event']} {line['label']}" for line in entries))
    return found


class Enrolling(DeviceScene):
    done = (EnrolmentRefusedError,)


class Unenrolling(DeviceScene):
    done = (NotEnrolledError,)


class RollingBack(DeviceScene):
    expected = (HealthCheckError,)


def _released(scene: DeviceScene) -> None:
    scene.vendor.baseline(BASE)
    scene.vendor.release(FIXED)
    scene.put(BASE)


def _enrolled(scene: DeviceScene) -> None:
    _released(scene)
    scene.enroll()


def _checked(scene: DeviceScene) -> None:
    _enrolled(scene)
    scene.device.check(None)


def _staged(scene: DeviceScene) -> None:
    _checked(scene)
    scene.device.install(None, user_initiated=True)


def _improved(scene: DeviceScene) -> None:
    _staged(scene)
    scene.device.activate(None)


def _removed_waiting(scene: DeviceScene) -> None:
    """Stage a second letter while the first is active, so that removal has to drop both."""
    _improved(scene)
    scene.vendor.release(AGAIN)
    scene.device.check(None)
    scene.device.install(None, user_initiated=True)


def _updated(scene: DeviceScene) -> None:
    _improved(scene)
    scene.vendor.baseline(UPDATED, name=NEXT)
    scene.put(UPDATED)


def _collectable(scene: DeviceScene) -> None:
    """Leave the trees of two letters, as after the programs that held them ended."""
    _improved(scene)
    store = scene.device.store
    product = store.product(scene.vendor.product)
    active = product.links.active()
    assert active is not None
    kept = [product.generations.path(active)]
    kept += [store.tree(seal) for seal in product.generations.seals(active).values()]
    beside = scene.folder / "held"
    beside.mkdir()
    for path in kept:
        _copy(path, beside / path.name)
    scene.vendor.release(AGAIN)
    scene.update()
    for path in kept:
        if not path.exists():
            _copy(beside / path.name, path)
    clear(beside)


def _copy(source: Path, target: Path) -> None:
    from tests.faults.scenes import copy

    copy(source, target)


def _broken(scene: DeviceScene) -> None:
    scene.vendor.baseline(BASE, health=("test", "!", "-e", "{tree}/broken"))
    scene.vendor.release(BROKEN)
    scene.put(BASE)
    scene.enroll()
    scene.device.check(None)
    scene.device.install(None, user_initiated=True)


OLD, A, B = "26.3.1", "26.3.1 (a)", "26.3.1 (b)"


def device_scenes(base: Path, served: str) -> dict[str, Callable[[], DeviceScene]]:
    """Return all operations of a device by name; each is built on demand."""

    def scene(
        kind: type[DeviceScene],
        name: str,
        labels: dict[str, Trees],
        before: Callable[[DeviceScene], None],
        operation: Callable[[DeviceScene], object],
    ) -> tuple[str, Callable[[], DeviceScene]]:
        slug = name.replace(" ", "-")
        place, url = base / slug, f"{served}/{slug}"
        return name, lambda: kind(name, place, url, labels, before, operation)

    return dict(
        [
            scene(Enrolling, "enrol", {OLD: BASE}, _released, lambda s: s.enroll()),
            scene(DeviceScene, "check", {OLD: BASE}, _enrolled, lambda s: s.device.check(None)),
            scene(
                DeviceScene, "install", {OLD: BASE}, _checked,
                lambda s: s.device.install(None, user_initiated=True),
            ),
            scene(
                DeviceScene, "activate", {OLD: BASE, A: FIXED}, _staged,
                lambda s: s.device.activate(None),
            ),
            scene(
                RollingBack, "roll back", {OLD: BASE, A: BROKEN}, _broken,
                lambda s: s.device.activate(None),
            ),
            scene(
                DeviceScene, "remove", {OLD: BASE, A: FIXED}, _removed_waiting,
                lambda s: s.device.remove(None, why="it broke printing"),
            ),
            scene(
                DeviceScene, "supersede", {"26.3.2": UPDATED}, _updated,
                lambda s: s.device.check(None),
            ),
            scene(
                DeviceScene, "collect garbage", {B: AGAIN}, _collectable,
                lambda s: s.device.preferences.change_settings(None, UserSettings(automatic=False)),
            ),
            scene(
                Unenrolling, "unenrol", {OLD: BASE}, _checked,
                lambda s: s.device.unenroll(None),
            ),
        ]
    )  # fmt: skip
