"""Files that resemble compiler output: mostly equal, with numbers that change everywhere."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.delta.sandbox.child import DecodeJob
from repoint.delta.writer import PatchInput


def binary(seed: int, size: int = 40_000) -> bytes:
    """Return bytes that compress to about half, as machine code does."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(2, 12)) for _ in range(500)]
    out = bytearray()
    while len(out) < size:
        out += rng.choice(words) + bytes([rng.randrange(4)])
    return bytes(out[:size])


def patched(old: bytes, seed: int = 1) -> bytes:
    """Return the same file with a function that grew and scattered numbers that changed."""
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
        folder = self.folder / str(len(self.inputs))
        folder.mkdir()
        (folder / "new").write_bytes(new)
        source = None
        if old is not None:
            source = folder / "old"
            source.write_bytes(old)
        source_name = f"old-{name}" if source else ""
        self.inputs.append(PatchInput(name, folder / "new", source_name, source))
        digest = hashlib.sha256(new).hexdigest()
        self.jobs.append(DecodeJob(name, source, len(new), digest))
        self.contents.append(new)


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    """Return a pair for each codec, and edge cases."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    pairs = Pairs(folder)
    pairs.add("lib/libchanged.so", patched(binary(1)), binary(1))
    pairs.add("lib/librenamed-2.so", binary(2), binary(2))
    pairs.add("new.txt", b"words that are new\n" * 40)
    pairs.add("shifted.txt", b"x" + b"line of text\n" * 300, b"line of text\n" * 300)
    pairs.add("empty", b"")
    pairs.add("emptied", b"", b"something")
    pairs.add("filled", b"something", b"")
    return pairs


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
