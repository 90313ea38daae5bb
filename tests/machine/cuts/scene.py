"""The promise for an operation on the machine whose disk is the root of this process."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from repoint.device.device import Device
from repoint.device.errors import NotEnrolledError
from repoint.device.store.product_state import ProductState
from repoint.device.strategy.grafts import is_grafted
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.tree.digest import seal_of
from repoint.tree.scan import read_entry
from tests.faults.device_scenes import DeviceScene, without_order
from tests.faults.judging import aftermath, settled
from tests.faults.scenes import Image, picture
from tests.faults.tracing import run_alone
from tests.machine.cuts.operations import Operation
from tests.machine.cuts.product import CODEC, ENGINE, OLD, PRODUCT, Facts

_STORE = Path("/var/lib/repoint")
_TIMES = re.compile(rb'"(when|enrolled)": \d+')


class MachineScene(DeviceScene):
    """The rules of `DeviceScene`, on the root of this process.

    Args:
        operation: The operation.
        facts: The states that the machine may be in.
        url: The repository.
        root: Its trusted root.
    """

    components = ("codec", "engine")
    settles = True

    def __init__(self, operation: Operation, facts: Facts, url: str, root: bytes) -> None:
        self.name = operation.name
        self.folder = Path("/")
        self.product = PRODUCT
        self.done = operation.done
        self.seals = {label: facts.seals[label] for label in operation.labels}
        self.url = url
        self._facts = facts
        self._root = root
        self._does = operation

    @property
    def device(self) -> Device:
        return Device(_STORE, wait=5)

    @property
    def store(self) -> ProductState:
        """The state of the product."""
        return self.device.store.product(self.product)

    def graft(self, component: str) -> Path:
        return ENGINE if component == "engine" else CODEC

    def standing(self, component: str) -> str:
        if component == "engine":
            return super().standing(component)
        found = []
        for path in self._facts.paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, InvalidRecordError):
                found.append(read_entry(CODEC / path, path))
        return seal_of(tuple(found))

    def prepare(self) -> None:
        """Do nothing: the disk is used as it is."""

    def act(self) -> object:
        return self._does.act(self.device, self.url, self._root)

    def settle(self) -> None:
        """Run the next check and the next start of the machine."""
        with contextlib.suppress(NotEnrolledError):
            self.device.check(None)
        self.start()

    def start(self) -> None:
        """Do what the machine does at its start, before any of its programs run.

        Raises:
            RepointError: The first product that could not be merged.
        """
        for _, failure in self.device.boot.merge():
            if failure is not None:
                raise failure

    def before_start(self) -> Iterator[str]:
        """Check the promise for the disk alone, before anything is merged."""
        if not (self.store.path / "enrolment.json").exists():
            return
        try:
            status = self.device.status(None)
        except RepointError as error:
            yield f"before the start, status does not work: {error}"
            return
        active = self.store.links.active()
        if status.protected and active is not None and active.letter:
            yield "before the start, status says protected although no layer is merged yet"
        if status.in_force not in self.seals:
            yield f"before the start, status says that {status.in_force} is in force"
        if any(p.component == "engine" and is_grafted(self.store, p)
               for p in self.store.documents.enrolment().grafts):  # fmt: skip
            found = self.standing("engine")
            if found != self.seals.get(status.in_force, {}).get("engine"):
                yield f"before the start, the engine is not that of {status.in_force}"
        elif self.standing("engine") != self._facts.seals[OLD]["engine"]:
            yield "before the start, the engine is neither linked nor the baseline's"

    def switched(self) -> bool:
        """Return whether the disk is past the commit of the operation."""
        return self._does.switched(self.store)

    def image(self) -> Image:
        places = {_STORE: ("lock",), ENGINE.parent: ()}
        found: Image = {}
        for place, without in places.items():
            seen = without_order(picture(place, without=without), place) if place.is_dir() else {}
            found |= {f"{place}/{path}": content for path, content in seen.items()}
        for path in found:
            if path.endswith((".json", "/unfinished")) and Path(path).is_file():
                data, times = _TIMES.subn(b"", Path(path).read_bytes())
                if times:
                    found[path] = f"{found[path].partition(' ')[0]} {data.decode()}"
        # The services that ran. None runs where disks are judged, so only the machine has them.
        found.pop(f"{self.store.path}/services.json", None)
        found["the codec"] = self.standing("codec")
        return found


def undisturbed(scene: MachineScene) -> Image:
    """Return the content of the disk after an undisturbed operation and the next step."""
    for action in (scene.start, scene.act):
        end = run_alone(action)
        kinds = [error.__name__ for error in scene.done]
        if end.how != "done" and end.kind not in kinds:
            raise AssertionError(f"{scene.name}, undisturbed, ends with {end}")
    wrong = [*settled(scene), *scene.wrong()]
    if wrong:
        raise AssertionError(f"{scene.name}, undisturbed, leaves {wrong}")
    return scene.image()


def judged(scene: MachineScene, expected: Image, position: str) -> Iterator[str]:
    """Yield the violations on a disk after a power cut.

    Args:
        scene: The operation.
        expected: The result of an undisturbed run.
        position: The state of the store after the operation, if it had reported success.
    """
    if position and repr(scene.position()) != position:
        yield f"it was done, but the disk holds {scene.position()}"
    yield from scene.before_start()
    end = run_alone(scene.start)
    if end.how != "done":
        yield f"the start ends with {end.how} {end.kind} {end.message} {end.hint}"
    yield from aftermath(scene, expected, settle=True)
