"""Replay power cuts at random instants of a recording, each on a separate disk."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.faults.scenes import Image
from tests.machine.cuts.inside import Answer, Order
from tests.machine.cuts.operations import OPERATIONS, Operation
from tests.machine.cuts.pool import TESTS, Bench, pool
from tests.machine.cuts.recording import HOST, Recording
from tests.machine.cuts.serving import PlacedServer
from tests.machine.cuts.writes import KINDS, Kind, State, WriteLog, cut

_NEAR = 8
"""Half of the cuts are not farther from the switch than so many writes."""
_TRIES = 100


class Expected(msgspec.Struct, frozen=True):
    """The result of an undisturbed operation.

    Attributes:
        image: The content of the disk after it and after the next step.
        position: The state of the store after it.
        switch: The number of writes, in order, after which the disk is past the switch.
    """

    image: Image
    position: str
    switch: int


class Cut(msgspec.Struct, frozen=True):
    """A power cut: the number of writes before it, what is kept, and the seed of the choice."""

    operation: str
    instant: int
    kind: Kind
    seed: int


class Outcome(msgspec.Struct, frozen=True):
    """The result of a power cut.

    Attributes:
        cut: The cut.
        lost: The number of writes without a later flush.
        disk: The name of the disk; equal disks have equal names.
        switched: Whether the disk is past the switch.
        wrong: The violations.
    """

    cut: Cut
    lost: int
    disk: str
    switched: bool
    wrong: tuple[str, ...]


@dataclass
class Replay:
    """A recording from which disks are built.

    Attributes:
        recording: The recording.
        folder: The folder of the disk before the recording and of its log.
    """

    recording: Recording
    folder: Path

    def log(self) -> WriteLog:
        """The log of the writes."""
        log = WriteLog(self.folder / "writes.log")
        log.read()
        return log

    def order(self, operation: Operation, address: str) -> Order:
        """Return the part of an order that is the same for all disks of an operation."""
        recording = self.recording
        return Order(
            "look", "", str(TESTS), operation.name, recording.facts, f"{address} {HOST}",
            f"http://{HOST}:{recording.port}", recording.root,
        )  # fmt: skip

    def serve(self, address: str) -> PlacedServer:
        """Serve the repository at the address that a judge expects."""
        first = Path(next(iter(self.recording.served.values())))
        return PlacedServer(first, address=(address, self.recording.port))

    def disk(self, found: Cut, log: WriteLog) -> State:
        """Return the state of the disk after a cut."""
        return cut(log.writes, found.instant, found.kind, random.Random(found.seed))

    def expectations(self, place: Path) -> dict[str, Expected]:
        """Run each operation undisturbed, and find the write that commits it."""
        log = self.log()
        server = self.serve("127.0.0.2")
        bench = Bench(place, self.folder / "disk.raw", log)
        found = {}
        try:
            for operation in OPERATIONS:
                span = self.recording.spans[operation.name]
                server.folder = Path(self.recording.served[operation.served])
                order = self.order(operation, "127.0.0.2")

                def looked(instant: int, order: Order = order, begin: int = span.begin) -> Answer:
                    bench.put(State(begin, tuple(log.writes[begin:instant])))
                    return _required(bench.look(order))

                looked(span.begin)
                image = _required(bench.look(msgspec.structs.replace(order, what="run"))).image
                low, high = span.begin, span.done
                end = looked(high)
                if not end.switched:
                    raise SystemExit(f"{operation.name} was done, but is not on the disk: {end}")
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (low, middle) if looked(middle).switched else (middle, high)
                found[operation.name] = Expected(image, end.position, high)
        finally:
            bench.close()
            server.close()
        return found

    def judge(
        self, place: Path, address: str, cuts: Sequence[Cut], expected: dict[str, Expected],
        report: Callable[[Outcome], None],
    ) -> None:  # fmt: skip
        """Judge the disk after each cut, one after the other."""
        log = self.log()
        server = self.serve(address)
        bench = Bench(place, self.folder / "disk.raw", log)
        try:
            for found in sorted(cuts, key=lambda cut: cut.instant):
                operation = next(o for o in OPERATIONS if o.name == found.operation)
                known = expected[operation.name]
                server.folder = Path(self.recording.served[operation.served])
                state = self.disk(found, log)
                bench.put(state)
                is_done = found.instant >= self.recording.spans[operation.name].done
                order = msgspec.structs.replace(
                    self.order(operation, address), what="judge", expected=known.image,
                    position=known.position if is_done else "",
                )  # fmt: skip
                answer = bench.look(order, check=True)
                wrong = answer.wrong + ((answer.broke,) if answer.broke else ())
                lost = found.instant - state.whole
                report(Outcome(found, lost, state.disk, answer.switched, wrong))
        finally:
            bench.close()
            server.close()


def choose(
    recording: Recording, log: WriteLog, expected: dict[str, Expected], number: int, seed: int
) -> list[Cut]:
    """Choose random instants: equally many for each operation, half of them near its switch.

    No disk is chosen twice if there are enough different ones.
    """
    chance = random.Random(seed)
    cuts: list[Cut] = []
    seen: set[tuple[str, str]] = set()
    for n in range(_TRIES * number):
        operation = OPERATIONS[len(cuts) % len(OPERATIONS)].name
        span, switch = recording.spans[operation], expected[operation].switch
        low, high = span.begin + 1, span.end
        if n % 2:
            low, high = max(low, switch - _NEAR), min(high, switch + _NEAR)
        found = Cut(
            operation, chance.randint(low, high), chance.choice(KINDS), chance.getrandbits(32)
        )
        state = cut(log.writes, found.instant, found.kind, random.Random(found.seed))
        if (operation, state.disk) not in seen:
            seen.add((operation, state.disk))
            cuts.append(found)
        if len(cuts) == number:
            break
    return cuts


def replay(
    work: Replay, number: int, seed: int, processes: int, report: Callable[[Outcome], None]
) -> dict[str, Expected]:
    """Cut the power `number` times; return the undisturbed result of each operation."""
    context = multiprocessing.get_context("spawn")
    with pool(work.folder) as place:
        expected = work.expectations(place / "undisturbed")
        cuts = choose(work.recording, work.log(), expected, number, seed)
        outcomes = context.Queue()
        workers = [
            context.Process(
                target=_work,
                args=(
                    work,
                    place / str(n),
                    f"127.0.0.{n + 3}",
                    cuts[n::processes],
                    expected,
                    outcomes,
                ),
            )
            for n in range(processes)
        ]
        for worker in workers:
            worker.start()
        left = len(workers)
        try:
            while left:
                outcome = outcomes.get(timeout=600)
                if isinstance(outcome, str):
                    raise SystemExit(outcome)
                if outcome is None:
                    left -= 1
                else:
                    report(outcome)
        finally:
            for worker in workers:
                if left:
                    worker.terminate()
                worker.join()
    return expected


def _work(
    work: Replay, place: Path, address: str, cuts: Sequence[Cut], expected: dict[str, Expected],
    outcomes: multiprocessing.Queue[Outcome | str | None],
) -> None:  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        work.judge(place, address, cuts, expected, outcomes.put)
        outcomes.put(None)
    except BaseException as error:
        outcomes.put(f"A process that judges disks ended: {error!r}")


def _required(answer: Answer) -> Answer:
    if answer.broke or answer.wrong:
        raise SystemExit(f"An undisturbed operation goes wrong: {answer.broke} {answer.wrong}")
    return answer
