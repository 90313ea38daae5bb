"""Fill the state of a fleet as its devices would, over some days."""

from __future__ import annotations

import random
from collections.abc import Iterator

from repoint.fleet.stores.state import SqlState
from repoint.model.baseline import BaselineName
from repoint.model.report import Report

PRODUCT = "acme-kiosk"
BATCH = 4096
DAYS = 3

_BASELINES = [
    BaselineName(platform, version, build)
    for platform in ("linux-x86_64", "linux-aarch64", "linux-aarch64-kiosk2")
    for version, build in (("26.3.1", "25D2128"), ("26.4", "26A10"))
]
_FAILURES = ("network", "space", "busy", "decode", "health", "start")


def events(count: int, seed: int, size: int = BATCH) -> Iterator[tuple[str, list[Report]]]:
    """Yield what so many devices report about one letter, each as a batch at a time."""
    rng = random.Random(seed)
    for start in range(0, count, size):
        staged, after = [], []
        for _ in range(min(size, count - start)):
            baseline = rng.choice(_BASELINES)
            ring = "early" if rng.random() < 0.01 else ""
            identity = _hex(rng)
            staged.append(_event("staged", baseline, ring, identity, rng))
            if rng.random() < 0.98:
                kind = "confirmed" if rng.random() < 0.995 else "failed"
                after.append(_event(kind, baseline, ring, identity, rng))
        yield "staged", staged
        yield "after", after


def counts(count: int, seed: int) -> Iterator[list[Report]]:
    """Yield the weekly counts of so many devices without ids, in batches."""
    rng = random.Random(seed)
    for start in range(0, count, BATCH):
        yield [_count(rng) for _ in range(min(BATCH, count - start))]


def fill(state: SqlState, devices: int, end: int, seed: int = 1, *, size: int = BATCH) -> None:
    """Add devices that staged and confirmed a letter, and sent one count, in the last days.

    Args:
        state: The state of a fleet.
        devices: The number of devices.
        end: The end of the days, in seconds since 1970.
        seed: The seed of chance.
        size: Devices that report at the same moment. The roll-ups have a row for each five minutes
            in which something happened, so a sample in small batches has as many as a whole fleet.
    """
    spent = 0
    for kind, batch in events(devices, seed, size):
        moment = end - DAYS * 86_400 + DAYS * 86_400 * spent // (2 * devices)
        state.add(batch, moment + (600 if kind == "after" else 0))
        spent += len(batch)
    for number, batch in enumerate(counts(devices // 7, seed + 1)):
        state.add(batch, end - 6 * 86_400 + number * BATCH * 6 * 86_400 // devices * 7)


def _hex(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"


def _event(
    kind: str, baseline: BaselineName, ring: str, identity: str, rng: random.Random
) -> Report:
    failure = rng.choice(_FAILURES) if kind == "failed" else None
    return Report(
        "1.0", kind, _hex(rng), PRODUCT, baseline, "1.0.3", letter="b", ring=ring,  # type: ignore[arg-type]
        failure=failure, id=identity, age=rng.randrange(300),  # type: ignore[arg-type]
    )  # fmt: skip


def _count(rng: random.Random) -> Report:
    letter = rng.choices(("", "a", "b"), (1, 2, 7))[0]
    exposed = rng.choice((1, 2, 5)) if rng.random() < 0.05 else 0
    return Report(
        "1.0", "count", _hex(rng), PRODUCT, rng.choice(_BASELINES), "1.0.3", letter=letter,
        exposed=exposed, ring="early" if rng.random() < 0.01 else "",
    )  # fmt: skip
