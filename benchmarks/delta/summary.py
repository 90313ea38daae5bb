"""What the results come to: for each pair the sizes side by side, and the goals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.delta.pairs import Pair
from benchmarks.delta.results import WHOLE, Result, Results
from benchmarks.delta.tools import PEERS, PUBLISHER
from benchmarks.delta.watching import Outcome

_ELF, _XZ = "elf", "xz"


@dataclass(frozen=True)
class FileRow:
    """One file of a pair: bytes of each tool's patch; of ours with the codec that was chosen."""

    name: str
    size: int
    ours: int
    codec: str
    elf: int | None
    peers: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """Our bytes, as so many times those of the smallest other patch."""
        return self.ours / min(self.peers.values())


@dataclass(frozen=True)
class Cost:
    """What a tool takes for a pair.

    Attributes:
        encode: Seconds, all files together.
        decode: Seconds, all files together.
        encode_peak: Bytes, of the file that needs most; for the publisher, all processes together.
        decode_peak: Bytes, of the file that needs most.
        outcome: What stopped it, if it did not come to its end.
    """

    encode: float
    decode: float
    encode_peak: int
    decode_peak: int
    outcome: Outcome = "ok"


@dataclass(frozen=True)
class PairSummary:
    """A pair, as all tools see it.

    Attributes:
        pair: Which.
        whole: Bytes of the publisher's patch, with names and digests.
        rows: The files; only those that all tools that came to their end have a patch for.
        costs: By the tool's name, the publisher's with it.
        elf: What codec `elf` alone takes for each of its files.
    """

    pair: Pair
    whole: int
    rows: tuple[FileRow, ...]
    costs: Mapping[str, Cost]
    elf: Mapping[str, Result]

    @cached_property
    def new(self) -> int:
        """Bytes of the new files."""
        return sum(row.size for row in self.rows)

    @cached_property
    def ours(self) -> int:
        """Bytes of our payloads; like those of the others they carry neither names nor digests."""
        return sum(row.ours for row in self.rows)

    @cached_property
    def peers(self) -> dict[str, int]:
        """Bytes of each other tool's patches."""
        return _sums(self.rows)

    @cached_property
    def smallest(self) -> str:
        """The other tool whose patches are smallest."""
        return min(self.peers, key=self.peers.__getitem__)

    @property
    def ratio(self) -> float:
        """Our bytes, as so many times those of the smallest other tool."""
        return self.ours / self.peers[self.smallest]

    @property
    def code_ratio(self) -> float | None:
        """The same over compiled code alone."""
        rows = [row for row in self.rows if row.elf is not None]
        return sum(row.ours for row in rows) / min(_sums(rows).values()) if rows else None


def summarize(pair: Pair, results: Results, ours: str) -> PairSummary | None:
    """All that is known of a pair; None where our side of this version or all others are lacking.

    Args:
        pair: Which.
        results: What was measured.
        ours: The version of the engine.
    """
    whole = results.of(pair.name, PUBLISHER, ours).get(WHOLE)
    elf = results.of(pair.name, _ELF, ours)
    theirs = {}
    for tool in PEERS:
        version = tool.version()
        found = results.of(pair.name, tool.name, version) if version else {}
        if found:
            theirs[tool.name] = found
    if whole is None or whole.size is None or _XZ not in theirs or len(theirs) < 2:
        return None
    full = theirs[_XZ]
    ended = {
        name: found
        for name, found in theirs.items()
        if all(_size(found, full, file) is not None for file in whole.entries)
    }
    rows = [
        FileRow(
            file,
            full[file].new,
            length,
            codec,
            elf[file].size if file in elf else None,
            {name: _size(found, full, file) or 0 for name, found in ended.items()},
        )
        for file, (codec, length) in whole.entries.items()
    ]
    costs = {PUBLISHER: _publisher_cost(whole)}
    costs |= {name: _cost(found.values()) for name, found in theirs.items()}
    return PairSummary(pair, whole.size, tuple(rows), costs, elf)


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean: halving one is as good as halving another."""
    return math.exp(sum(map(math.log, values)) / len(values))


def _sums(rows: Sequence[FileRow]) -> dict[str, int]:
    return {name: sum(row.peers[name] for row in rows) for name in rows[0].peers}


def _size(found: Mapping[str, Result], full: Mapping[str, Result], file: str) -> int | None:
    """Bytes of a tool's patch of a file; of the full file where it has nothing to offer."""
    result = found.get(file)
    if result is None or result.encode.outcome == "none":
        result = full.get(file) if result is not None or _is_added(full, file) else None
    return result.size if result is not None else None


def _is_added(full: Mapping[str, Result], file: str) -> bool:
    return file in full and not full[file].old


def _cost(found: Iterable[Result]) -> Cost:
    found = list(found)
    bad = [r.encode.outcome for r in found if r.encode.outcome not in {"ok", "none"}]
    return Cost(
        encode=sum(r.encode.seconds for r in found),
        decode=sum(r.decode_seconds or 0.0 for r in found),
        encode_peak=max(r.encode.peak for r in found),
        decode_peak=max((run.peak for r in found for run in r.decode), default=0),
        outcome=bad[0] if bad else "ok",
    )


def _publisher_cost(whole: Result) -> Cost:
    return Cost(
        encode=whole.encode.seconds,
        decode=whole.decode_seconds or 0.0,
        encode_peak=whole.encode.together,
        decode_peak=max(run.peak for run in whole.decode),
    )
