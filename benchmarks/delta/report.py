"""The report of the delta engine: goals and tables, for the page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.delta.pairs import BROWSER
from benchmarks.delta.summary import Cost, PairSummary, geometric_mean
from benchmarks.delta.tools import PEERS, PUBLISHER

_BEGIN = "<!-- delta results: written by `make bench-delta` -->"
_END = "<!-- end of delta results -->"
_MEAN, _WORST, _DECODE, _ENCODE = 0.25, 1.0, 60.0, 90.0
"""The goals: two ratios, MB of output a second, seconds for the browser engine."""


def markdown(pairs: Sequence[PairSummary], bad: Sequence[Sequence[str]], about: str) -> str:
    """The part of the page.

    Args:
        pairs: What was measured of the pairs.
        bad: Rows of the bad cases: name, size, and a cell for each tool.
        about: The machine and the day.
    """
    parts = [about, _goals(pairs), "### Patch sizes", "![Patch sizes](images/delta-sizes.svg)",
             _sizes(pairs), "### Time and memory", _costs(pairs)]  # fmt: skip
    if bad:
        parts += ["### Bad cases", _BAD, _bad(bad)]
    return "\n\n".join(parts) + "\n"


_BAD = (
    "Made input on which delta tools have been seen to take hours; each file is dressed up as a "
    "program, so that the codec for compiled code has to deal with it. Seconds to encode with "
    "codec `elf` alone, and its peak of memory as so many times the larger file (the interpreter "
    "itself takes 45 MB, which weighs on small ones)."
)


def write(text: str, page: Path) -> None:
    """Replace what stands between the marks of the page.

    Raises:
        SystemExit: The marks are not there.
    """
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"benchmarks: {page} has lost the marks between which the tables go")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def _goals(pairs: Sequence[PairSummary]) -> str:
    code = [pair for pair in pairs if pair.pair.code]
    mean = geometric_mean([pair.ratio for pair in code])
    worst = max(pairs, key=lambda pair: pair.ratio)
    rows = [
        ["patch size against the smallest general tool, geometric mean of "
         f"{len(code)} pairs of compiled code", f"{mean:.3f}", _met(mean <= _MEAN, "≤ 0.25")],
        [f"the same, on the worst pair ({_name(worst)})", f"{worst.ratio:.2f}",
         _met(worst.ratio <= _WORST, "≤ 1.0")],
    ]  # fmt: skip
    browser = next((pair for pair in pairs if pair.pair.name == BROWSER), None)
    if browser is not None:
        engine = max(browser.elf.values(), key=lambda result: result.new)
        speed = engine.new / 1e6 / (engine.decode_seconds or 1)
        rows.append([f"decode, the browser engine of {engine.new / 1e6:.0f} MB",
                     f"{speed:.0f} MB/s ({engine.decode_seconds or 0:.1f} s)",
                     _met(speed >= _DECODE, "≥ 60 MB/s")])  # fmt: skip
        seconds = engine.encode.seconds
        rows.append(["encode, the browser engine", f"{seconds:.0f} s",
                     _met(seconds <= _ENCODE, "≤ 90 s")])  # fmt: skip
    large = [r for pair in code for r in pair.elf.values() if max(r.old, r.new) > 10_000_000]
    if large:
        most = max(r.encode.peak / max(r.old, r.new) for r in large)
        rows.append(["encoder's peak memory, times the larger file (files above 10 MB)",
                     f"{most:.1f}", _met(most <= 12, "≤ 12")])  # fmt: skip
        more = max((run.private / 2**20 for r in large for run in r.decode), default=0.0)
        rows.append(["decoder's memory apart from the mapped files", f"{more:.0f} MiB",
                     _met(more <= 128, "≤ 128 MiB")])  # fmt: skip
    return _table(["figure", "measured", "goal"], rows)


def _sizes(pairs: Sequence[PairSummary]) -> str:
    header = ["pair", "new files", "Repoint", *(tool.title for tool in PEERS), "ratio"]
    rows = [
        [_name(pair), *(f"{n:,}" for n in (pair.new, pair.ours)),
         *(f"{pair.peers[t.name]:,}" if t.name in pair.peers else "–" for t in PEERS),
         f"**{pair.ratio:.3f}**"]
        for pair in pairs
    ]  # fmt: skip
    note = (
        "Bytes of the patches of all changed files; the ratio is Repoint's to the smallest of the "
        "general tools on that pair. Names and digests are in none of them: they are in the "
        "container."
    )
    return _table(header, rows) + "\n\n" + note


def _costs(pairs: Sequence[PairSummary]) -> str:
    names = [(PUBLISHER, "Repoint"), *((tool.name, tool.title) for tool in PEERS)]
    rows = [
        [_name(pair), *(_cost(pair.costs[n]) if n in pair.costs else "–" for n, _ in names)]
        for pair in pairs
    ]
    note = (
        "Seconds to encode / seconds to decode / peak memory of encoding in MB. Repoint's encoding "
        "is the publisher's: it tries several codecs for each file in parallel processes, whose "
        "memory is added up, and decodes each result to verify it. Its decoding is the device's, "
        "with the confined child."
    )
    return _table(["pair", *(title for _, title in names)], rows) + "\n\n" + note


def _cost(cost: Cost) -> str:
    if cost.outcome != "ok":
        return {"time": "too long", "memory": "too much memory"}.get(cost.outcome, cost.outcome)
    return f"{cost.encode:.1f} / {cost.decode:.2f} / {cost.encode_peak / 1e6:,.0f}"


def _bad(rows: Sequence[Sequence[str]]) -> str:
    return _table(["case", "old file", "encode", "per MB", "peak", "patch"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def _name(pair: PairSummary) -> str:
    machine = " (AArch64)" if pair.pair.machine == "aarch64" else ""
    return f"{pair.pair.title}{machine} {pair.pair.old} → {pair.pair.new}"


def _met(met: bool, goal: str) -> str:
    return f"{goal}: {'met' if met else 'missed'}"
