"""Zeros of a file become holes, and nothing else changes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from repoint.fs.holes import dig_holes

KIB, MIB = 1 << 10, 1 << 20
NOISE = random.Random(1).randbytes(MIB)


def zeros(size: int) -> bytes:
    return bytes(size)


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ([], 0),
        ([NOISE], 1024),
        ([zeros(4 * MIB)], 0),
        ([zeros(4 * MIB + 1)], 0),
        ([zeros(70 * KIB)], 0),
        ([NOISE, zeros(3 * MIB)], 1024),
        ([zeros(3 * MIB), NOISE], 1024),
        ([zeros(3 * MIB), NOISE, zeros(2 * MIB), NOISE[:1]], 1024 + 64),
        ([NOISE[:64 * KIB], zeros(64 * KIB)] * 8, 512),
        ([NOISE[:1], zeros(64 * KIB - 1)] * 4, 256),  # no whole block is zero
        ([NOISE[:100 * KIB], zeros(900 * KIB), NOISE[:24 * KIB]], 256),
    ],
)  # fmt: skip
def test_zeros_take_no_space_and_the_content_stays(
    tmp_path: Path, parts: list[bytes], kept: int
) -> None:
    content = b"".join(parts)
    (tmp_path / "file").write_bytes(content)
    file = os.open(tmp_path / "file", os.O_RDWR)
    os.fsync(file)
    dig_holes(file)
    os.fsync(file)
    blocks = os.fstat(file).st_blocks
    os.close(file)
    assert (tmp_path / "file").read_bytes() == content
    assert blocks * 512 <= (kept + 64) * KIB


def test_reserved_space_is_given_back(tmp_path: Path) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(file, 0, 8 * MIB)
    os.pwrite(file, b"x", 5 * MIB)
    dig_holes(file)
    assert os.fstat(file).st_blocks * 512 <= 128 * KIB
    assert os.fstat(file).st_size == 8 * MIB
    os.close(file)
