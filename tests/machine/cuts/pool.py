"""Disks that share their blocks and are judged one after the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.machine.cuts.inside import HARNESS, Answer, Order, command
from tests.machine.cuts.writes import State, WriteLog, apply
from tests.machine.image import run

_SIZE = 24 << 30
TESTS = Path(__file__).resolve().parents[2]
"""The folder of the tests."""


@contextmanager
def pool(folder: Path) -> Iterator[Path]:
    """Mount a file system on which a copy of a disk takes no space until it is written to."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 8 << 30
    with tempfile.TemporaryDirectory(prefix="cuts-", dir=memory if roomy else folder) as place:
        image, mounted = Path(place, "pool"), Path(place, "mounted")
        with image.open("wb") as file:
            file.truncate(_SIZE)
        run("mkfs.xfs", "-q", "-m", "reflink=1", str(image))
        mounted.mkdir()
        run("mount", "-o", "loop,discard", str(image), str(mounted))
        try:
            yield mounted
        finally:
            # The kernel releases the judged disks a little later.
            run("umount", "--lazy", str(mounted))


class Bench:
    """Builds disks as a power cut may leave them, and has the machine's Repoint judge them.

    Args:
        pool: The folder of the disks.
        base: The disk before the recording.
        log: The writes to it.
    """

    def __init__(self, pool: Path, base: Path, log: WriteLog) -> None:
        self._log = log
        self._running = pool / "running"
        self.state = pool / "state"
        self._root = pool / "root"
        self._own = pool / "own"
        self._at = 0
        pool.mkdir(exist_ok=True)
        if not self._running.exists():
            run("cp", "--sparse=always", str(base), str(self._running))
        self._root.mkdir(exist_ok=True)
        self._judge = self._start(base)

    def put(self, state: State) -> None:
        """Build a disk. The number of whole writes must not decrease from one disk to the next."""
        apply(self._log.path, self._running, self._log.writes[self._at : state.whole])
        self._at = max(self._at, state.whole)
        self.state.unlink(missing_ok=True)
        run("cp", "--reflink=always", str(self._running), str(self.state))
        apply(self._log.path, self.state, state.pieces)

    def look(self, order: Order, *, check: bool = False) -> Answer:
        """Mount the disk, which replays its journal, and execute the order."""
        wrong: list[str] = []
        try:
            self._mount()
            if check:
                run("umount", str(self._root))
                wrong += self._checked()
                self._mount()
        except SystemExit as error:
            return Answer(wrong=(f"the file system is damaged: {error}",))
        try:
            answer = self._ask(msgspec.structs.replace(order, root=str(self._root)))
        finally:
            run("umount", "--lazy", str(self._root))
        return msgspec.structs.replace(answer, wrong=(*wrong, *answer.wrong))

    def close(self) -> None:
        """Unmount and close everything."""
        assert self._judge.stdin is not None
        self._judge.stdin.close()
        self._judge.wait()
        run("umount", "--recursive", str(self._own))

    def _mount(self) -> None:
        run("mount", "-t", "ext4", "-o", "loop", str(self.state), str(self._root))

    def _checked(self) -> Sequence[str]:
        done = subprocess.run(
            ["e2fsck", "-fn", self.state], capture_output=True, text=True, check=False
        )
        return () if done.returncode == 0 else (f"e2fsck: {done.stdout[-600:]}",)

    def _ask(self, order: Order) -> Answer:
        assert self._judge.stdin is not None
        assert self._judge.stdout is not None
        self._judge.stdin.write(msgspec.json.encode(order) + b"\n")
        self._judge.stdin.flush()
        output = self._judge.stdout.readline()
        return msgspec.json.decode(output, type=Answer)

    def _start(self, base: Path) -> subprocess.Popen[bytes]:
        self._own.mkdir(exist_ok=True)
        run("mount", "-t", "ext4", "-o", "loop,ro", str(base), str(self._own))
        run("mount", "-t", "tmpfs", "none", str(self._own / "run"))
        run("mount", "-t", "proc", "proc", str(self._own / "proc"))
        run("mount", "--bind", "/dev", str(self._own / "dev"))
        tests = self._own / HARNESS / "tests"
        tests.mkdir(parents=True)
        run("mount", "--bind", str(TESTS), str(tests))
        outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            return subprocess.Popen(
                ["chroot", self._own, *command(outside)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(outside,),
            )  # fmt: skip
        finally:
            os.close(outside)
