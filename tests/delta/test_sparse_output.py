"""Decoding a sparse file allocates only what holds data."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from repoint.delta.codecs import CODECS
from repoint.delta.mapped import fill, mapped, mapped_fd

MIB = 1 << 20


@pytest.mark.parametrize("codec", ["copy", "full"])
def test_a_codec_for_large_files_leaves_holes(tmp_path: Path, codec: str) -> None:
    size = 40 * MIB
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
        file.seek(17 * MIB)
        file.write(random.Random(1).randbytes(MIB))
    with mapped(tmp_path / "file") as old, (tmp_path / "decoded").open("w+b") as decoded:
        payload = CODECS.named(codec).encode(old, old)
        assert payload is not None
        os.ftruncate(decoded.fileno(), size)
        with mapped_fd(decoded.fileno(), writable=True) as new:
            CODECS.named(codec).decode(old, memoryview(payload), new)
        os.fsync(decoded.fileno())
        assert os.fstat(decoded.fileno()).st_blocks * 512 < 4 * MIB
    assert (tmp_path / "decoded").read_bytes() == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("before", [b"\0", b"\1"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\0" * 9, b"\0\1", b"\0" * (MIB + 1), b"\1" * MIB]
)
def test_all_bytes_are_written_whatever_was_there(before: bytes, content: bytes) -> None:
    target = bytearray(before * len(content))
    fill(memoryview(target), content)
    assert target == content
