"""What was measured, kept on disk: a run that is interrupted goes on where it stopped.

One file for each pair, tool and tool's version; a new version measures anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.delta.watching import Measured

WHOLE = ""
"""The file name under which the publisher's patch of a whole pair is kept."""


class Result(msgspec.Struct, frozen=True):
    """A tool's patch of one file, or the publisher's of all.

    Attributes:
        old: Bytes of the old file, or of all of them.
        new: Bytes of the new one.
        size: Bytes of the patch; None where there is none.
        encode: Making it.
        decode: Applying it, several times where it is quick; none where there is no patch.
        entries: For the publisher, codec and length of each file's payload, by name.
        day: When it was measured.
    """

    old: int
    new: int
    size: int | None
    encode: Measured
    decode: tuple[Measured, ...] = ()
    entries: dict[str, tuple[str, int]] = {}
    day: str = ""

    @property
    def decode_seconds(self) -> float | None:
        """The least of the times: what else goes on in the machine can only add to them."""
        return min((run.seconds for run in self.decode), default=None)


class _Kept(msgspec.Struct):
    pair: str
    tool: str
    version: str
    files: dict[str, Result] = {}


class Results:
    """The results below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, pair: str, tool: str, version: str) -> dict[str, Result]:
        """The results of a tool on a pair, by file name; empty where there are none."""
        path = self._path(pair, tool, version)
        return _read(path).files if path.exists() else {}

    def add(self, pair: str, tool: str, version: str, name: str, result: Result) -> None:
        """Keep one more result."""
        path = self._path(pair, tool, version)
        kept = _read(path) if path.exists() else _Kept(pair, tool, version)
        kept.files = {**kept.files, name: result}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
        part.replace(path)

    def latest(self, pair: str, tool: str) -> tuple[str, dict[str, Result]]:
        """The version that was measured last, and its results."""
        found = sorted(self._versions(pair, tool), key=lambda path: path.stat().st_mtime)
        if not found:
            return "", {}
        kept = _read(found[-1])
        return kept.version, kept.files

    def _versions(self, pair: str, tool: str) -> Iterator[Path]:
        yield from self._folder.glob(f"{pair}/{tool}@*.json")

    def _path(self, pair: str, tool: str, version: str) -> Path:
        return self._folder / pair / f"{tool}@{re.sub(r'[^A-Za-z0-9.+-]', '-', version)}.json"


def _read(path: Path) -> _Kept:
    return msgspec.json.decode(path.read_bytes(), type=_Kept)
