"""How long a collector is away that was killed under load, with a fleet of full size."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from tests.fleet.collector import CollectorProcess
from tests.fleet.reports import count, event, new_id

ROUNDS = 5


@dataclass(frozen=True)
class Recovery:
    """What a kill costs.

    Attributes:
        seconds: From the kill to the first report that is taken, each time.
        acknowledged: Events that were acknowledged before the kills.
        lost: Those of them that are not there afterwards.
        first_byte: Seconds to the adoption and to the figures, over HTTP, each time.
    """

    seconds: tuple[float, ...]
    acknowledged: int
    lost: int
    first_byte: dict[str, tuple[float, ...]]


def measure(database: str) -> Recovery:
    """Kill a collector under load a few times, and start it again at once."""
    options = ("--limit", "0", "--admin", "127.0.0.1:0")
    seconds: list[float] = []
    acknowledged: set[str] = set()
    collector = CollectorProcess(database, *options)
    for _ in range(ROUNDS):
        thread = threading.Thread(target=_load, args=(collector, acknowledged))
        before = len(acknowledged)
        thread.start()
        _wait(acknowledged, before)
        begun = time.perf_counter()
        collector.kill()
        collector = CollectorProcess(database, *options)
        if collector.send([count()]).status == 202:
            seconds.append(time.perf_counter() - begun)
        thread.join()
    lost = sum(collector.get(f"/api/v1/ids/{one}").status != 200 for one in acknowledged)
    since = int(time.time()) - 30 * 86_400
    paths = {
        "adoption by the hour, 30 days, over HTTP": "/api/v1/products/acme-kiosk/adoption"
        f"?since={since}",
        "`/metrics`": "/metrics",
    }
    first_byte = {name: _times(collector, path) for name, path in paths.items()}
    collector.stop()
    return Recovery(tuple(seconds), len(acknowledged), lost, first_byte)


def _wait(acknowledged: set[str], before: int) -> None:
    """Wait until a second after the first report is acknowledged."""
    deadline = time.monotonic() + 60
    while len(acknowledged) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1.0)


def _load(collector: CollectorProcess, acknowledged: set[str]) -> None:
    while True:
        ids = [new_id() for _ in range(20)]
        try:
            if collector.send([event("staged", one) for one in ids]).status == 202:
                acknowledged.update(ids)
        except OSError:
            return


def _times(collector: CollectorProcess, path: str) -> tuple[float, ...]:
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        collector.get(path)
        times.append(time.perf_counter() - begun)
    return tuple(times)
