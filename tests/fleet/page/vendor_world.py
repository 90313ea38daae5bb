"""A vendor in the middle of a rollout, and the reports of its devices: the past two weeks."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from repoint.fleet.stores.opening import open_state
from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import BaselineName
from repoint.model.report import Failure, Report
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.improve.improve import ImprovementRequest
from repoint.publisher.publisher import Publisher
from repoint.publisher.rollout.plan import parse_ramp
from repoint.repository.repository import Repository
from tests.world import FIXED, OLD, no_passphrase, write_tree

HOUR, DAY = 3600, 86_400
PRODUCT = "acme-kiosk"
A, B = "26.3.1 (a)", "26.3.1 (b)"
INTEL = BaselineName("linux-x86_64", "26.3.1", "25D2128")
ARM = BaselineName("linux-aarch64", "26.3.1", "25D2128")
STARTED = 42 * HOUR
"""How long ago the rollout of (b) started."""

ADVISORIES = {
    "a": Advisory(
        "Fix in image decoding",
        (
            Fix(
                ("CVE-2023-4863", "CVE-2023-5129"),
                "engine",
                "Opening a malicious picture may run an attacker's code",
                "A buffer overflow in the decoder was addressed.",
            ),
        ),
    ),
    "b": Advisory(
        "Fix in certificate verification",
        (
            Fix(
                ("CVE-2024-12797",),
                "engine",
                "An attacker on the network may read what the kiosk sends",
                "A missing check of raw public keys was added.",
            ),
        ),
    ),
}


def make_repository(folder: Path, now: int) -> Repository:
    """Create the vendor's repository as it is `now`."""
    time = now - 14 * DAY
    repository = Repository.create(folder / "repository", passphrase=None)
    publisher = Publisher(repository, passphrases=no_passphrase, clock=lambda: time)
    trees = {"old": OLD, "a": FIXED, "b": {**FIXED, "share/b": "b\n"}}
    sources = {name: write_tree(folder / name, files) for name, files in trees.items()}
    for baseline in (INTEL, ARM):
        component = ComponentSource("engine", sources["old"])
        publisher.add_baseline(Release(PRODUCT, baseline, (component,)))
    for letter, ago in (("a", 12 * DAY), ("b", STARTED)):
        time = now - ago
        for baseline in (INTEL, ARM):
            publisher.improve(
                ImprovementRequest(
                    PRODUCT, baseline, {"engine": sources[letter]}, ADVISORIES[letter]
                )
            )
        steps = parse_ramp("1% 10% 50% 100% over 3d", rings=("early",))
        publisher.publish(PRODUCT, urgency="exploited" if letter == "a" else "routine", steps=steps)
    return repository


def fill(database: str, now: int, devices: int) -> None:
    """Add the reports of two weeks to an empty database."""
    chance = random.Random(7)
    by_hour: dict[int, list[tuple[int, Report]]] = defaultdict(list)

    def send(time: float, report: Report) -> None:
        if time <= now:
            by_hour[int(time) // HOUR].append((int(time), report))

    for _ in range(devices):
        _Device(chance, now, send).live()
    state = open_state(database, clock=lambda: now)
    for _, sent in sorted(by_hour.items()):
        sent.sort(key=lambda pair: pair[0])
        state.add([report for _, report in sent], sent[-1][0])
    state.close()


class _Device:
    """One device's two weeks."""

    def __init__(
        self, chance: random.Random, now: int, send: Callable[[float, Report], None]
    ) -> None:
        self.chance = chance
        self.now = now
        self.send = send
        self.id = uuid.UUID(int=chance.getrandbits(128)).hex
        self.baseline = INTEL if chance.random() < 0.7 else ARM
        self.ring = "early" if chance.random() < 0.02 else ""

    def live(self) -> None:
        chance, now = self.chance, self.now
        self.send(now - 14 * DAY + chance.random() * DAY, self.report("count"))
        reach = chance.random()
        # (a) was ramped over three days, and some devices are slow.
        turn = now - 12 * DAY + (reach * 3 + chance.expovariate(1.6)) * DAY
        if chance.random() < 0.97:
            self.take("a", turn, 0.004, ("network", "space", "busy", "health"))
        shares = ((0, 0.01), (DAY, 0.1), (2 * DAY, 0.5))
        mine = chance.random()
        after = 0 if self.ring else next((a for a, share in shares if mine < share), None)
        if after is not None:
            turn = now - STARTED + after + chance.expovariate(1 / (5 * HOUR))
            worse = self.baseline == ARM
            self.take("b", turn, 0.06 if worse else 0.006,
                      ("health", "health", "health", "start", "network"))  # fmt: skip
        elif chance.random() < 0.05:
            self.send(now - chance.random() * DAY, self.report("count", letter="a", exposed=1))

    def take(self, letter: str, turn: float, fails: float, kinds: tuple[Failure, ...]) -> None:
        self.send(turn, self.report("staged", letter))
        then = turn + self.chance.expovariate(1 / (3 * HOUR))
        if self.chance.random() < fails:
            self.send(then, self.report("failed", letter, failure=self.chance.choice(kinds)))
        elif self.chance.random() < 0.995:
            self.send(then, self.report("confirmed", letter))

    def report(
        self, kind: str, letter: str = "", failure: Failure | None = None, exposed: int = 0
    ) -> Report:
        return Report(
            "1.0", kind, uuid.UUID(int=self.chance.getrandbits(128)).hex, PRODUCT,  # type: ignore[arg-type]
            self.baseline, "0.9.2", letter=letter, failure=failure, exposed=exposed,
            ring=self.ring, id="" if kind == "count" else self.id, device=self.id,
        )  # fmt: skip
