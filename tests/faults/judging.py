"""Interrupt one operation at one point, and check the promise afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from tests.faults.disk import Recording, State
from tests.faults.scenes import Ground, Image, Scene, clear, compared
from tests.faults.syscalls import FAULTS, Syscall
from tests.faults.tracing import Call, Decision, End, Trace, run_alone, run_traced

Kind = Literal["crash", "fault", "power cut"]


class Finding(msgspec.Struct, frozen=True):
    """A broken promise.

    Attributes:
        scene: The operation.
        trouble: The fault that was injected.
        number: The number of the call, counted from 1.
        call: The call.
        wrong: A description of what is wrong.
    """

    scene: str
    trouble: str
    number: int
    call: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.scene}: {self.trouble} at {self.number} ({self.call}): {self.wrong}"


class Trouble(msgspec.Struct, frozen=True):
    """A fault: ``what`` happens to one call, and ``lasting`` to all calls after it."""

    name: str
    what: Decision
    lasting: bool = False

    def fits(self, call: Call) -> bool:
        """Return whether the kernel could do this to that call."""
        if self.what == "go":
            return False
        if self.what in ("half", "half and kill"):
            return call.what.name in ("write", "pwrite64") and call.size > 1
        return self.what == "kill" or _may_fail(call.what, self.name.removesuffix(" from there on"))

    def decide(self, number: int) -> Callable[[Call], Decision]:
        """Return the decision for each call if the fault begins at call `number`."""

        def decision(call: Call) -> Decision:
            if call.number == number or (self.lasting and call.number > number):
                return self.what if self.fits(call) else "go"
            return "go"

        return decision


CRASHES = (Trouble("killed before", "kill"), Trouble("killed in the middle of", "half and kill"))
SHORT = (Trouble("short write", "half"),)
FAILING = tuple(Trouble(name, number) for name, number in FAULTS.items() if name != "EROFS")
LASTING = tuple(
    Trouble(f"{name} from there on", FAULTS[name], lasting=True) for name in ("ENOSPC", "EROFS")
)
"""A full disk stays full, and a file system that met an error is often remounted read-only."""


def _may_fail(what: Syscall, error: str) -> bool:
    if error == "ENOSPC":
        return what.allocates
    if error == "EACCES":
        return bool(what.paths)
    if error == "EROFS":
        return not what.sync and (bool(what.paths) or what.name.startswith("f"))
    return True


class Judge:
    """Interrupts one operation repeatedly."""

    def __init__(self, scene: Scene, ground: Ground | None = None) -> None:
        self.scene = scene
        self.ground = ground or Ground(scene)
        self.before = scene.position()
        self.undisturbed = run_traced(scene.act, scene.folder, lambda _: "go")
        scene.note_end()
        self._require_expected(self.undisturbed.end)
        self.after = scene.position()
        self._image: Image = scene.image()
        for wrong in settled(scene):
            raise AssertionError(f"{scene.name}, undisturbed: {wrong}")
        self._settled: Image = scene.image()

    def _require_expected(self, end: End) -> None:
        kinds = {error.__name__ for error in self.scene.expected}
        if not (end.how == "refused" and end.kind in kinds) and not (end.how == "done"):
            raise AssertionError(f"{self.scene.name}, undisturbed, ends with {end}")
        wrong = [*self.scene.wrong()]
        if wrong:
            raise AssertionError(f"{self.scene.name}, undisturbed, leaves: {wrong}")

    def record(self) -> Recording:
        """Run the operation again and record what it does to the disk."""
        self.ground.restore()
        return Recording(self.scene.folder, self.scene.act)

    def points(self, trouble: Trouble) -> list[int]:
        """Return the numbers of the calls to which the fault can happen."""
        return [call.number for call in self.undisturbed.calls if trouble.fits(call)]

    def disturb(self, trouble: Trouble, number: int) -> list[Finding]:
        """Run the operation with a fault at one call, and check what it leaves."""
        self.ground.restore()
        decide = trouble.decide(number)
        trace = run_traced(self.scene.act, self.scene.folder, decide, self.scene.expected_errors)
        call = trace.calls[number - 1] if len(trace.calls) >= number else "not reached"
        return [
            Finding(self.scene.name, trouble.name, number, str(call), wrong)
            for wrong in [*self._after_trouble(trace), *self.aftermath()]
        ]

    def cut_power(self, state: State, cut: int) -> list[Finding]:
        """Restore a possible state after a power cut, and check it as the next start would.

        Args:
            state: The content of the disk.
            cut: The number of calls before the power cut.
        """
        clear(self.scene.folder)
        self.scene.folder.mkdir()
        state.put(self.scene.folder)
        calls = self.undisturbed.calls
        wrong = []
        if cut >= len(calls) and self.scene.position() != self.after:
            wrong.append(f"it was done, but the disk holds {self.scene.position()}")
        wrong += self.aftermath(settle=True)
        last = str(calls[min(cut, len(calls)) - 1]) if cut else "the beginning"
        return [Finding(self.scene.name, "power cut after", cut, last, text) for text in wrong]

    def _after_trouble(self, trace: Trace) -> Iterator[str]:
        """Check that the fault is reported in plain words, and that the report is true."""
        end = trace.end
        if end.how == "crashed":
            yield f"it crashed: {end.message}"
        if end.how == "refused":
            message = f"{end.message}. {end.hint}"
            if "othing was changed" in message and self.scene.position() != self.before:
                yield f"it said {message!r}, but {self.before} became {self.scene.position()}"
        if end.how == "done" and self.scene.position() != self.after:
            yield f"it said it was done, but left {self.scene.position()}, not {self.after}"

    def aftermath(self, *, settle: bool = False) -> Iterator[str]:
        """Check the promise for the present content of the disk, and after the next run.

        Args:
            settle: Whether to compare the ends only after the next step. Metadata that a power cut
                destroyed can be downloaded again; the next check restores it.
        """
        settle = settle or self.scene.settles
        expected = self._settled if settle else self._image
        yield from aftermath(self.scene, expected, settle=settle)


def aftermath(scene: Scene, expected: Image, *, settle: bool) -> Iterator[str]:
    """Check the promise for the present content of a scene's disk, and after the next run.

    Args:
        scene: The operation.
        expected: The result of an undisturbed run.
        settle: Whether to compare the ends only after the next step.
    """
    yield from scene.wrong()
    end = run_alone(scene.act)
    kinds = {error.__name__ for error in (*scene.done, *scene.expected)}
    if end.how != "done" and not (end.how == "refused" and end.kind in kinds):
        yield f"the next run ends with {end.how} {end.kind} {end.message} {end.hint}"
    if settle:
        yield from settled(scene)
    for wrong in scene.wrong():
        yield f"after the next run: {wrong}"
    for difference in compared(scene.image(), expected):
        yield f"the next run does not end where an undisturbed one does: {difference}"


def settled(scene: Scene) -> Iterator[str]:
    """Run the next step and yield a line for each thing that is wrong with it."""
    end = run_alone(scene.settle)
    if end.how != "done":
        yield f"what comes after the next run ends with {end.how} {end.kind} {end.message}"
