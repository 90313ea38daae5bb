"""An idle check: there is nothing new. What does it cost to find that out?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from benchmarks.measuring import Ran, figure, run
from benchmarks.results import Group, Row
from benchmarks.scene import Scene
from benchmarks.serving import Traffic

_REPETITIONS = 15
_MOST_BODY = 1024
"""The goal for the body, in bytes."""


def measure(scene: Scene, progress: Callable[[], None]) -> list[Group]:
    """Check again and again on devices that have what there is."""
    ran: tuple[list[Ran], list[Ran]] = ([], [])
    traffic: tuple[list[Traffic], list[Traffic]] = ([], [])
    _bring_up_to_date(scene)
    commands = (scene.repoint.driver("check"), scene.tufup.driver("check"))
    for number in range(1 + _REPETITIONS):
        for side, command in enumerate(commands):
            with scene.server.counted() as counted:
                done = run(command, cwd=scene.repoint.folder)
            if number:  # the first warms the machine up
                ran[side].append(done)
                traffic[side].append(counted)
            progress()
    if any(done.answer["found"] for done in ran[1]):
        raise SystemExit("benchmarks: tufup's check was not an idle one")
    return [_group(ran, traffic)]


def _bring_up_to_date(scene: Scene) -> None:
    for device in (scene.repoint_device, scene.tufup_device):
        device.reset()
    for command in (scene.repoint.driver("update"), scene.tufup.driver("update"),
                    scene.tufup.driver("settle")):  # fmt: skip
        run(command, cwd=scene.repoint.folder)


def _group(ran: tuple[list[Ran], list[Ran]], traffic: tuple[list[Traffic], list[Traffic]]) -> Group:
    def row(name: str, of: Callable[[Traffic], int], goal: float | None = None) -> Row:
        return Row(name, tuple(figure([of(t) for t in side], "B") for side in traffic), goal)

    requests = tuple(figure([len(t.requests) for t in side], "count") for side in traffic)
    work = tuple(figure([r.answer["work"] for r in side], "s") for side in ran)
    wall = tuple(figure([r.wall for r in side], "s") for side in ran)
    counted = [
        f"{name} asks: {_requested(side[0])}."
        for name, side in zip(("Repoint", "tufup"), traffic, strict=True)
    ]
    return Group(
        "An idle check",
        ("Repoint", "tufup"),
        (
            Row("requests", requests, goal=2),
            row("bodies", lambda t: t.body, goal=_MOST_BODY),
            row("headers, both directions", lambda t: t.heads),
            row("on the wire, total", lambda t: t.sent + t.received),
            Row("the check itself", work),
            Row("whole process, with start and imports", wall),
        ),
        tuple(counted),
    )


def _requested(traffic: Traffic) -> str:
    counted = Counter(f"{r.path.rpartition('/')[2]} ({r.status})" for r in traffic.requests)
    return ", ".join(f"{count} of {what}" if count > 1 else what for what, count in counted.items())
