"""Bad cases: input on which delta tools have been seen to take hours, made the same every time.

Each is dressed up as a program (an ELF file with nothing but program headers), so that the engine
tries its codec for compiled code on it, too.
"""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.delta.material import ChangedFile

MB = 1_000_000
_X86_64 = 62
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_PAGE = 4096


@dataclass(frozen=True)
class Programs:
    """Real programs to cut code from, old and new, in the same order."""

    old: Sequence[Path]
    new: Sequence[Path]


Content = tuple[Iterator[bytes], Iterator[bytes]]


@dataclass(frozen=True)
class BadCase:
    """One kind of bad input, in several sizes.

    Attributes:
        name: What it is called in results and options.
        title: What it is called in tables.
        sizes: Bytes of the old file, about.
        quick: The sizes of the small sample.
        content: Gives the content of both files for a size.
    """

    name: str
    title: str
    content: Callable[[int, Programs], Content]
    sizes: tuple[int, ...] = (4 * MB, 16 * MB, 64 * MB)
    quick: tuple[int, ...] = (MB, 4 * MB)

    def key(self, size: int) -> str:
        """What a size of it is called in results."""
        return f"bad-{self.name}-{size // MB}"

    @contextmanager
    def made(self, size: int, programs: Programs, cache: Path) -> Iterator[ChangedFile]:
        """The two files, for as long as they are needed."""
        folder = cache / "bad" / self.key(size)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            for name, content in zip(("old", "new"), self.content(size, programs), strict=True):
                _write_program(folder / name, content)
            yield ChangedFile(self.key(size), folder / "old", folder / "new")
        finally:
            shutil.rmtree(folder)


def _equal(size: int, programs: Programs) -> Content:
    """Zeros, a little code, zeros; the runs have other lengths in the new file."""
    code = _take(programs.old, size // 64)
    half = size // 2

    def content(first: int, second: int) -> Iterator[bytes]:
        yield from (bytes(first), code, bytes(second), b"the end")

    return content(half, half), content(half - size // 10, half + size // 9)


def _pattern(size: int, programs: Programs) -> Content:
    """One pattern over and over, in the new file with a block missing and bytes changed."""
    pattern = _random("pattern", 1021)
    old = bytearray(pattern * (size // len(pattern)))
    new = old[: size // 3] + old[size // 3 + size // 8 + 500 :]
    for at in range(5000, len(new), 65_537):
        new[at] ^= 0x55
    return iter([bytes(old)]), iter([bytes(new)])


def _removed(size: int, programs: Programs) -> Content:
    """The middle half of a program is gone."""
    old = _take(programs.old, size)
    return iter([old]), iter([old[: size // 4], old[size - size // 4 :]])


def _inserted(size: int, programs: Programs) -> Content:
    """As much again is new in the middle of a program."""
    old, fresh = _take(programs.old, size), _random("inserted", size)
    return iter([old]), iter([old[: size // 2], fresh, old[size // 2 :]])


def _moved(size: int, programs: Programs) -> Content:
    """A program in 64 blocks, in another order."""
    old = _take(programs.old, size)
    step = size // 64
    blocks = [old[at : at + step] for at in range(0, size, step)]
    random.Random("moved").shuffle(blocks)
    return iter([old]), iter(blocks)


def _nothing(size: int, programs: Programs) -> Content:
    """Random bytes, and other random bytes."""
    return iter([_random("one", size)]), iter([_random("two", size)])


def _sparse(size: int, programs: Programs) -> Content:
    """A MiB of each program every 16 MiB, and nothing between."""

    def content(paths: Sequence[Path]) -> Iterator[bytes]:
        for number, path in zip(range(size >> 24), cycle(paths), strict=False):
            with path.open("rb") as file:
                file.seek((number << 20) % max(1, path.stat().st_size - (1 << 20)))
                yield file.read(1 << 20).ljust(16 << 20, b"\0")

    return content(programs.old), content(programs.new)


def _real(size: int, programs: Programs) -> Content:
    """Real programs, one behind the other and from the first again, in both releases."""

    def content(paths: Sequence[Path]) -> Iterator[bytes]:
        left = size
        for path in cycle(paths):
            data = path.read_bytes()[:left]
            left -= len(data)
            yield data
            if not left:
                return

    return content(programs.old), content(programs.new)


BAD_CASES = (
    BadCase("equal", "long runs of equal bytes", _equal),
    BadCase("pattern", "one pattern, repeated", _pattern),
    BadCase("removed", "half removed", _removed),
    BadCase("inserted", "as much again inserted", _inserted),
    BadCase("moved", "64 blocks moved", _moved),
    BadCase("nothing", "nothing in common", _nothing),
    BadCase("sparse", "1 GB, mostly zeros", _sparse, (64 * MB, 256 * MB, 1000 * MB), ()),
    BadCase("real", "1 GB of real programs", _real, (64 * MB, 256 * MB, 1000 * MB), ()),
)


def _take(paths: Sequence[Path], size: int) -> bytes:
    """The first bytes of these programs, from the first again where they are too few."""
    taken = bytearray()
    for path in cycle(paths):
        with path.open("rb") as file:
            taken += file.read(size - len(taken))
        if len(taken) == size:
            return bytes(taken)
    raise AssertionError


def _random(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _write_program(path: Path, content: Iterator[bytes]) -> None:
    """Write the content as a program: the first half of it is code, the rest is data."""
    start = _HEADER.size + 2 * _SEGMENT.size
    with path.open("wb") as file:
        file.seek(start)
        for part in content:
            file.write(part)
        size = file.tell()
        half = size // 2 // _PAGE * _PAGE
        file.seek(0)
        ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        file.write(_HEADER.pack(ident, 3, _X86_64, 1, start, _HEADER.size, 0, 0, _HEADER.size,
                                _SEGMENT.size, 2, 0, 0, 0))  # fmt: skip
        file.write(_SEGMENT.pack(1, 5, 0, 0, 0, half, half, _PAGE))
        end = size - half
        file.write(_SEGMENT.pack(1, 4, half, half + _PAGE, half + _PAGE, end, end, _PAGE))
