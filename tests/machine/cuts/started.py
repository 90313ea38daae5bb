"""Power cuts after which the machine really starts.

For some replayed cuts the emulator boots the disk. For others the emulator itself is killed in the middle
of an operation. A snapshot of the running machine, taken before the operation, makes that quick, so that
only the start after the cut takes long.
"""

from __future__ import annotations

import random
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.machine import asking
from tests.machine.asking import loaded, read
from tests.machine.cuts.operations import Operation, operation
from tests.machine.cuts.pool import Bench, pool
from tests.machine.cuts.product import LETTERS, OLD, A, B, facts, make_sources, publish_all
from tests.machine.cuts.recording import ordered, prepare, trusted_root
from tests.machine.cuts.replaying import Cut, Replay
from tests.machine.cuts.serving import PlacedServer, free_port
from tests.machine.image import Image, run
from tests.machine.machine import Machine

_AROUND = 2.5
"""Half of the kills are not farther from the switch than so many seconds."""


class Started(msgspec.Struct, frozen=True):
    """A power cut, and the state after the next start.

    Attributes:
        operation: The operation.
        instant: The number of seconds or of writes before the cut.
        switched: Whether the operation's result was in force, or staged, afterwards.
        seconds: The duration of the start.
        wrong: The violations.
    """

    operation: str
    instant: float
    switched: bool
    seconds: float
    wrong: tuple[str, ...]


class Killing(NamedTuple):
    """An operation during which the emulator is killed.

    Attributes:
        name: Its name.
        command: Its command line.
        served: The letter that is published by then.
        before: The state in force before it.
        after: The state in force after it.
    """

    name: str
    command: str
    served: str
    before: str
    after: str


KILLINGS = (
    Killing("install, activate", "repoint install; repoint restart --yes", A, OLD, A),
    Killing("second letter", operation("second letter").command, B, A, B),
    Killing("remove", "repoint remove; repoint restart --yes", B, B, OLD),
)
_FINAL = {"enrol": OLD, "check": OLD, "install": A, "activate": A, "second letter": B,
          "remove": OLD, "unenrol": ""}  # fmt: skip


class SnapshotMachine(Machine):
    """A machine that can be restored to a running state within seconds."""

    def __init__(self, image: Image, folder: Path) -> None:
        super().__init__(image, folder)
        self._snapshot = ""
        self.disk = folder / "machine.qcow2"
        self.disk.unlink(missing_ok=True)
        run("qemu-img", "convert", "-O", "qcow2", str(image.disk), str(self.disk))

    def drive(self) -> list[str]:
        loaded = ["-loadvm", self._snapshot] if self._snapshot else []
        return ["-drive", f"file={self.disk},format=qcow2,if=virtio,cache=writeback",
                "-monitor", f"unix:{self.folder}/monitor,server=on,wait=off", *loaded]  # fmt: skip

    def keep(self, name: str) -> None:
        """Take a snapshot of the running machine."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "monitor"))
            output = _until_prompt(monitor)
            monitor.sendall(f"savevm {name}\n".encode())
            output = _until_prompt(monitor)
            if b"Error" in output:
                raise SystemExit(f"No snapshot was taken: {output.decode(errors='replace')}")

    def go_back(self, name: str) -> None:
        """Switch it on in the state of a snapshot."""
        self._snapshot = name
        try:
            self._switch_on(time.monotonic())
        finally:
            self._snapshot = ""
        self.run("true")


def _until_prompt(monitor: socket.socket) -> bytes:
    output = b""
    while not output.endswith(b"(qemu) "):
        output += monitor.recv(65536)
    return output


def kill(image: Image, folder: Path, number: int, seed: int) -> Iterator[Started]:
    """Kill the emulator at random instants of the operations, and start the machine after each."""
    folder.mkdir(exist_ok=True)
    sources = make_sources(folder)
    served = publish_all(folder, sources)
    seals = facts(sources).seals
    port = free_port()
    server = PlacedServer(served[A], address=("127.0.0.1", port))
    machine = SnapshotMachine(image, folder)
    chance = random.Random(seed)
    try:
        machine.start()
        asking.started(machine)
        prepare(machine, sources[OLD]["engine"], trusted_root(served[A]))
        machine.run(ordered(operation("enrol").command, port))
        machine.run("repoint check")
        times = {}
        for killing in KILLINGS:
            server.folder = served[killing.served]
            machine.run("sync")
            machine.keep(killing.name.replace(" ", ""))
            times[killing.name] = _timed(machine, killing.command)
            print(
                f"{killing.name}: %.1f s, switched after %.1f s" % times[killing.name], flush=True
            )
        machine.cut_power()
        for n in range(number):
            killing = KILLINGS[n % len(KILLINGS)]
            whole, switch = times[killing.name]
            instant = chance.uniform(0, whole + _AROUND)
            if n // len(KILLINGS) % 2:
                instant = chance.uniform(max(0, switch - _AROUND), switch + _AROUND)
            server.folder = served[killing.served]
            machine.go_back(killing.name.replace(" ", ""))
            machine.run(f"({killing.command}) >/dev/null 2>&1 &")
            time.sleep(instant)
            machine.cut_power()
            seconds = machine.start()
            asking.started(machine)
            force, wrong = looked(machine, (killing.before, killing.after), seals)
            yield Started(killing.name, instant, force == killing.after, seconds, tuple(wrong))
            machine.cut_power()
    finally:
        machine.stop()
        server.close()


def start_replayed(
    work: Replay, image: Image, cuts: Sequence[Cut], folder: Path
) -> Iterator[Started]:
    """Start the machine on the disks of some replayed cuts."""
    log = work.log()
    seals = work.recording.facts.seals
    server = work.serve("127.0.0.1")
    try:
        with pool(folder) as place:
            bench = Bench(place / "started", image.disk, log)
            try:
                for found in sorted(cuts, key=lambda cut: cut.instant):
                    done = operation(found.operation)
                    server.folder = Path(work.recording.served[done.served])
                    bench.put(work.disk(found, log))
                    shutil.copy(bench.state, folder / "machine.raw")
                    yield _started(Machine(image, folder), found, done, seals, work)
            finally:
                bench.close()
    finally:
        server.close()


def _started(
    machine: Machine, found: Cut, done: Operation, seals: dict[str, dict[str, str]], work: Replay
) -> Started:
    try:
        seconds = machine.start()
        asking.started(machine)
        enrolled = "No product" not in machine.run("repoint status 2>&1 || true")
        force, wrong = looked(machine, done.labels, seals) if enrolled else ("", [])
        if not enrolled and done.name not in ("enrol", "unenrol"):
            return Started(done.name, found.instant, False, seconds, ("nothing is enrolled",))
        final = _FINAL[done.name]
        switched = enrolled if done.name in ("enrol", "check") else force == final
        command = ordered(done.command, work.recording.port)
        if final:
            wrong += again(
                machine, f"{command} || true", final, seals, restart=done.name == "install"
            )
        else:
            machine.run(f"{command} || true")
            wrong += [] if _holds(machine, OLD, seals) else ["the engine is not the baseline's"]
        return Started(done.name, found.instant, switched, seconds, tuple(wrong))
    finally:
        machine.stop()


def looked(
    machine: Machine, labels: Sequence[str], seals: dict[str, dict[str, str]]
) -> tuple[str, list[str]]:
    """Return the state in force after a power cut and a start, and the violations."""
    status = read(machine)
    force = str(status["in_force"])
    if force not in labels:
        return force, [f"{force} is in force"]
    wrong = []
    runs = loaded(machine)
    if runs != LETTERS[force]:
        wrong.append(f"{force} is in force, but the service runs the library of {runs}")
    if not all(graft["in_place"] for graft in status["grafts"]):
        wrong.append(f"{force} is in force, but not in its place: {status['grafts']}")
    if not _holds(machine, force, seals):
        wrong.append(f"{force} is in force, but the engine is not that of {force}")
    return force, wrong


def again(
    machine: Machine, command: str, final: str, seals: dict[str, dict[str, str]],
    *, restart: bool = False,
) -> Iterator[str]:  # fmt: skip
    """Repeat the operation; return the violations after it."""
    machine.run(command)
    if restart:
        machine.run("repoint restart --yes || true")
    for wrong in looked(machine, (final,), seals)[1]:
        yield f"after the next run: {wrong}"


def _holds(machine: Machine, label: str, seals: dict[str, dict[str, str]]) -> bool:
    return machine.run("repoint seal /srv/acme/engine").strip() == seals[label]["engine"]


def _timed(machine: Machine, command: str) -> tuple[float, float]:
    """Return the duration of an operation, and the time of its switch from the time of the link."""
    link = "/var/lib/repoint/products/acme/active"
    output = machine.run(
        f"date +%s.%N; ({command}) >/dev/null 2>&1; date +%s.%N; stat -c %.Z {link}"
    ).split()
    began, ended, switched = map(float, output)
    return ended - began, switched - began
