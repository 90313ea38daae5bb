"""Files that resemble what compilers make: mostly alike, with numbers that change everywhere."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.delta.sandbox.child import DecodeJob
from repoint.delta.writer import PatchInput


def binary(seed: int, size: int = 40_000) -> bytes:
    """Bytes that compress to about half, as machine code does."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(2, 12)) for _ in range(500)]
    out = bytearray()
    while len(out) < size:
        out += rng.choice(words) + bytes([rng.randrange(4)])
    return bytes(out[:size])


def patched(old: bytes, seed: int = 1) -> bytes:
    """The same file with a function that grew and scattered numbers that moved."""
    rng = random.Random(seed)
    new = bytearray(old)
    for _ in range(len(new) // 500):
        new[rng.randrange(len(new))] ^= 1
    at = len(new) // 3
    new[at:at] = rng.randbytes(97)
    return bytes(new)


class Pairs:
    """Old and new files on disk, as inputs to a patch and as jobs to a decoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs: list[PatchInput] = []
        self.jobs: list[DecodeJob] = []
        self.contents: list[bytes] = []

    def add(self, name: str, new: bytes, old: bytes | None = None) -> None:
        place = self.folder / str(len(self.inputs))
        place.mkdir()
        (place / "new").write_bytes(new)
        source = None
        if old is not None:
            source = place / "old"
            source.write_bytes(old)
        called = f"old-{name}" if source else ""
        self.inputs.append(PatchInput(name, place / "new", called, source))
        digest = hashlib.sha256(new).hexdigest()
        self.jobs.append(DecodeJob(name, source, len(new), digest))
        self.contents.append(new)


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    """One pair for each codec, and the cases at the edges."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    made = Pairs(folder)
    made.add("lib/libchanged.so", patched(binary(1)), binary(1))
    made.add("lib/librenamed-2.so", binary(2), binary(2))
    made.add("new.txt", b"words that are new\n" * 40)
    made.add("shifted.txt", b"x" + b"line of text\n" * 300, b"line of text\n" * 300)
    made.add("empty", b"")
    made.add("emptied", b"", b"something")
    made.add("filled", b"something", b"")
    return made


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def make_binary() -> Callable[..., bytes]:
    return binary


@pytest.fixture
def make_patched() -> Callable[..., bytes]:
    return patched
