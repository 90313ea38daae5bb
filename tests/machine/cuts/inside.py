"""Runs with a machine's own Python and Repoint, and judges disks of that machine.

It starts once, on the disk as it was installed, and loads its modules there. Each order names a folder in
which a disk is mounted. A child takes that folder as its root, in separate mount and PID namespaces, so
that it is the first process there and nobody else sees what it merges over /usr. Then it does what the
next start of the machine would do.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Literal

import msgspec

# Loaded before the disk changes.
from tests.faults.quickly import be_quick
from tests.faults.scenes import Image
from tests.machine.cuts.operations import operation
from tests.machine.cuts.product import Facts
from tests.machine.cuts.scene import MachineScene, judged, undisturbed

_NEW_MOUNTS, _NEW_PROCESSES = 0x00020000, 0x20000000
_RECURSIVE, _PRIVATE, _SHARED, _BIND = 0x4000, 0x40000, 0x100000, 0x1000
_LIBC = ctypes.CDLL(None, use_errno=True)
HARNESS = "run/harness"
"""Where the tests are mounted on the machine's disk."""


class Order(msgspec.Struct, frozen=True):
    """An order for the disk in a folder.

    Attributes:
        what: Inspect it, run the operation undisturbed, or judge it after a power cut.
        root: The folder.
        tests: The folder of the tests, outside.
        hosts: The address and the name of the repository's host.
        position: See `scene.judged`.
    """

    what: Literal["look", "run", "judge"]
    root: str
    tests: str
    operation: str
    facts: Facts
    hosts: str
    url: str
    trusted: str
    expected: Image = {}
    position: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The answer to an order."""

    switched: bool = False
    position: str = ""
    image: Image = {}
    wrong: tuple[str, ...] = ()
    broke: str = ""


def main(outside: int) -> None:
    """Read orders from standard input, one per line, and answer each with a line.

    Args:
        outside: A descriptor of the root that contains the folders.
    """
    be_quick()
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            _in_namespaces(order, outside, theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as answer:
            output = answer.read()
        os.waitpid(pid, 0)
        sys.stdout.buffer.write(output or msgspec.json.encode(Answer(broke="it gave no answer")))
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()


def _in_namespaces(order: Order, outside: int, answer: int) -> None:
    status = 1
    try:
        # Opened before the namespace is created, which has separate mounts.
        os.fchdir(outside)
        os.chroot(".")
        _require(_LIBC.unshare(_NEW_MOUNTS | _NEW_PROCESSES), "unshare")
        pid = os.fork()
        if pid == 0:
            os.write(answer, msgspec.json.encode(_answer(order)))
            status = 0
        else:
            os.close(answer)
            os.waitpid(pid, 0)
    finally:
        os._exit(status)


def _answer(order: Order) -> Answer:
    try:
        _enter(order)
        be_quick()
        scene = MachineScene(
            operation(order.operation), order.facts, order.url, order.trusted.encode()
        )
        switched, position = scene.switched(), repr(scene.position())
        if order.what == "run":
            return Answer(switched, position, image=undisturbed(scene))
        if order.what == "judge":
            wrong = tuple(judged(scene, order.expected, order.position))
            return Answer(switched, position, wrong=wrong)
        return Answer(switched, position)
    except BaseException:
        return Answer(broke=traceback.format_exc()[-4000:])


def _enter(order: Order) -> None:
    root = Path(order.root)
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)
    _mount("none", str(root), "", _SHARED)
    _mount("proc", str(root / "proc"), "proc", 0)
    _mount("none", str(root / "run"), "tmpfs", 0)
    _mount("none", str(root / "tmp"), "tmpfs", 0)
    _mount("/dev", str(root / "dev"), "", _BIND)
    (root / HARNESS / "tests").mkdir(parents=True)
    _mount(order.tests, str(root / HARNESS / "tests"), "", _BIND)
    (root / "run/hosts").write_text(f"{order.hosts}\n")
    _mount(str(root / "run/hosts"), str(root / "etc/hosts"), "", _BIND)
    os.chroot(root)
    os.chdir("/")
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _mount(what: str, where: str, kind: str, flags: int) -> None:
    done = _LIBC.mount(what.encode(), where.encode(), kind.encode() or None, flags, None)
    _require(done, f"mount on {where}")


def _require(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


def command(outside: int) -> list[str]:
    """Return the program that starts this module with the machine's disk as its root."""
    code = (
        f"import sys; sys.path.insert(0, {json.dumps('/' + HARNESS)}); "
        f"from tests.machine.cuts.inside import main; main({outside})"
    )
    return ["/usr/lib/repoint/bin/python3", "-I", "-B", "-c", code]
