"""The main job: from the check to the fix staged on disk. What it downloads, takes and needs."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import Peak, Ran, figure, run, run_watched
from benchmarks.results import Figure, Group, Row
from benchmarks.scene import Device, Scene
from benchmarks.serving import Traffic

_REPETITIONS = 9
_WATCHED = 3


@dataclass
class _Side:
    """The repetitions of one side."""

    ran: list[Ran] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)

    def answers(self, name: str) -> list[float]:
        return [float(ran.answer[name]) for ran in self.ran]


def measure(scene: Scene, progress: Callable[[], None]) -> list[Group]:
    """Measure both sides in turn, so that the machine's moods fall on both."""
    repoint, tufup = _Side(), _Side()
    sides = (
        (repoint, scene.repoint_device, scene.repoint.driver("update")),
        (tufup, scene.tufup_device, scene.tufup.driver("update")),
    )
    for number in range(1 + _REPETITIONS):
        for side, device, command in sides:
            device.reset()
            with scene.server.counted() as traffic:
                ran = run(command, cwd=scene.repoint.folder)
            if number:  # the first warms the machine up
                side.ran.append(ran)
                side.traffic.append(traffic)
            progress()
    if not all(ran.answer["patched"] for ran in tufup.ran):
        raise SystemExit("benchmarks: tufup fetched the full archive instead of its patch")
    _require_same_files(scene)
    for _ in range(_WATCHED):
        for side, device, command in sides:
            _watch(side, device, command, scene.repoint.folder)
            progress()
    return [_bytes(scene, repoint, tufup), _cost(repoint, tufup)]


def _watch(side: _Side, device: Device, command: list[str], cwd: Path) -> None:
    device.reset()
    side.peaks.append(run_watched(command, cwd=cwd))


def _bytes(scene: Scene, repoint: _Side, tufup: _Side) -> Group:
    with scene.server.counted() as full:
        name = scene.material.new_wheel.name
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{scene.server.url}/wheels/{name}") as response:
            response.read()
    sides = (repoint.traffic, tufup.traffic, [full])

    def row(title: str, of: Callable[[Traffic], int], goal: float | None = None) -> Row:
        return Row(title, tuple(figure([of(t) for t in side], "B") for side in sides), goal)

    requests = tuple(figure([len(t.requests) for t in side], "count") for side in sides)
    archive = scene.tufup.public / "targets" / f"pillow-{_version(scene)}.tar.gz"
    return Group(
        "Downloaded, from the old release to the fixed one",
        ("Repoint", "tufup", "full wheel"),
        (
            row("the patch, or the whole", lambda t: t.patches or t.body),
            row("metadata and records", lambda t: t.body - t.patches if t.patches else 0),
            row("bodies, total", lambda t: t.body),
            row("headers, both directions", lambda t: t.heads),
            row("on the wire, total", lambda t: t.sent + t.received),
            Row("requests", requests),
        ),
        (
            f"tufup's full archive, which it fetches when it has no patch, has "
            f"{archive.stat().st_size:,} bytes.",
        ),
    )


def _cost(repoint: _Side, tufup: _Side) -> Group:
    sides = (repoint, tufup)

    def times(name: str) -> tuple[Figure, ...]:
        return tuple(figure(side.answers(name), "s") for side in sides)

    def peaks(of: Callable[[Peak], float]) -> tuple[Figure, ...]:
        return tuple(figure([of(peak) for peak in side.peaks], "MB") for side in sides)

    decoder = figure([peak.child for peak in repoint.peaks], "MB")
    download = figure(repoint.answers("download"), "s")
    return Group(
        "Time and memory, from check to staged",
        ("Repoint", "tufup"),
        (
            Row("check", times("check")),
            Row("download the patch", (download, "in the next row")),
            Row("decode, build, verify, stage", times("rest")),
            Row("from check to staged", times("work")),
            Row("whole process, with start and imports",
                tuple(figure([ran.wall for ran in side.ran], "s") for side in sides)),
            Row("processor time of the whole process",
                tuple(figure([ran.cpu for ran in side.ran], "s") for side in sides)),
            Row("peak memory, all processes added up", peaks(lambda peak: peak.together)),
            Row("of that, the device's own process", peaks(lambda peak: peak.main)),
            Row("of that, the confined decoder", (decoder, "none")),
        ),
    )  # fmt: skip


def _version(scene: Scene) -> str:
    return scene.material.new_tree.name


def _require_same_files(scene: Scene) -> None:
    """Both sides must have arrived at the same files, or there is nothing to compare."""
    trees = [tree for tree in (scene.repoint.device / "store" / "trees").iterdir()
             if (tree / f"Pillow-{_version(scene)}.dist-info").is_dir()]  # fmt: skip
    if len(trees) != 1:
        raise SystemExit("benchmarks: Repoint staged no tree of the new release")
    for path in trees[0].rglob("*"):
        name = path.relative_to(trees[0])
        other = scene.tufup.extracted / name
        # What pip notes about itself is no part of the release.
        if path.is_file() and path.name != "RECORD" and other.read_bytes() != path.read_bytes():
            raise SystemExit(f"benchmarks: the two sides arrived at different files: {name}")
