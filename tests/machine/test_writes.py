"""The log of a disk's writes, and the disks that a power cut may leave."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path

from tests.machine.cuts.writes import KINDS, SECTOR, Kind, State, Write, WriteLog, apply, cut

_FLUSH, _DISCARD = 1, 4


def note(*entries: tuple[int, bytes, int]) -> bytes:
    """Return a log: for each entry its first sector, its data and its flags."""
    output = struct.pack("<QQQI", 0x6A736677736872, 1, 0, SECTOR).ljust(SECTOR, b"\0")
    for sector, data, flags in entries:
        output += struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0")
        output += b"" if flags & _DISCARD else data
    return output


def block(letter: str, sectors: int = 8) -> bytes:
    return letter.encode() * (sectors * SECTOR)


def made(folder: Path, state: State, log: WriteLog) -> bytes:
    """Return an empty disk after the writes of a state."""
    disk = folder / "disk"
    disk.write_bytes(bytes(64 * SECTOR))
    apply(log.path, disk, [*log.writes[: state.whole], *state.pieces])
    return disk.read_bytes()


def recorded(folder: Path) -> WriteLog:
    log = WriteLog(folder / "log")
    log.path.write_bytes(
        note((8, block("a"), 0), (0, b"", _FLUSH), (16, block("b"), 0), (24, block("c"), 0))
    )
    assert log.read() == 4
    return log


def test_a_log_is_read_as_far_as_it_goes_and_on_when_it_has_grown(tmp_path: Path) -> None:
    log = WriteLog(tmp_path / "log")
    whole = note((8, block("a"), 0), (0, b"", _FLUSH), (8, block("b"), _DISCARD), (0, b"", _FLUSH))
    log.path.write_bytes(whole[: 2 * SECTOR + 8 * SECTOR] + bytes(4 * SECTOR))
    assert log.read() == 1
    log.path.write_bytes(whole)
    assert log.read() == 4
    assert [(w.offset, w.size, w.flush) for w in log.writes] == [
        (8 * SECTOR, 8 * SECTOR, False),
        (0, 0, True),
        (8 * SECTOR, 0, False),
        (0, 0, True),
    ]


def test_what_was_flushed_is_on_the_disk_whatever_else_is(tmp_path: Path) -> None:
    log = recorded(tmp_path)
    seen = set()
    for seed in range(200):
        kind = KINDS[seed % len(KINDS)]
        state = cut(log.writes, 4, kind, random.Random(seed))
        disk = made(tmp_path, state, log)
        assert disk[8 * SECTOR : 16 * SECTOR] == block("a")
        seen.add(disk[16 * SECTOR :])
    assert len(seen) > 50


def test_nothing_is_on_the_disk_that_was_not_written_before_the_cut(tmp_path: Path) -> None:
    log = recorded(tmp_path)
    for kind in KINDS:
        disk = made(tmp_path, cut(log.writes, 3, kind, random.Random(1)), log)
        assert b"c" not in disk


def test_all_of_it_and_some_writes_tear_no_write(tmp_path: Path) -> None:
    log = recorded(tmp_path)
    found = set()
    for seed in range(40):
        state = cut(log.writes, 4, "some writes", random.Random(seed))
        disk = made(tmp_path, state, log)
        found.add((disk.count(b"b"), disk.count(b"c")))
    size = 8 * SECTOR
    assert found == {(0, 0), (0, size), (size, 0), (size, size)}
    disk = made(tmp_path, cut(log.writes, 4, "all of it", random.Random(1)), log)
    assert (disk.count(b"b"), disk.count(b"c")) == (size, size)


def test_a_beginning_keeps_no_write_without_those_before_it(tmp_path: Path) -> None:
    log = recorded(tmp_path)
    torn = 0
    for seed in range(40):
        disk = made(tmp_path, cut(log.writes, 4, "a beginning", random.Random(seed)), log)
        assert not disk.count(b"c") or disk.count(b"b") == 8 * SECTOR
        torn += 0 < disk.count(b"c") < 8 * SECTOR
    assert torn


def test_the_superblock_is_never_torn(tmp_path: Path) -> None:
    write = [Write(0, 8 * SECTOR, 0, False)]
    kinds: tuple[Kind, ...] = ("some sectors", "a beginning")
    for kind in kinds:
        for seed in range(100):
            state = cut(write, 1, kind, random.Random(seed))
            covered = [(p.offset, p.offset + p.size) for p in state.pieces]
            kept = {s for a, b in covered for s in range(a // SECTOR, b // SECTOR)}
            assert (2 in kept) == (3 in kept)


def test_the_programs_that_use_a_machine_can_be_started() -> None:
    for program in ("tests.machine", "tests.machine.cuts", "tests.machine.layer_image"):
        done = subprocess.run(
            [sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), program
