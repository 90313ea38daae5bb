"""The sizes of all pairs as a picture: one row a pair, one dot a tool, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.delta.summary import PairSummary
from benchmarks.delta.tools import TOOLS

_LEFT, _RIGHT, _TOP, _ROW = 190, 780, 66, 34
_WIDTH = 820
_COLOURS = {"repoint": "#0a84ff", "hdiff": "#ff9f0a", "bsdiff": "#bf5af2", "zstd": "#30b05b",
            "xdelta": "#ff5a52", "xz": "#8e8e93"}  # fmt: skip
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1d1d1f }
  .quiet { fill: #6e6e73; font-size: 12px }
  .line { stroke: #d2d2d7 }
  .paper { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f5f5f7 }
    .quiet { fill: #a1a1a6 }
    .line { stroke: #48484a }
    .paper { fill: #1c1c1e }
  }
"""


def chart(pairs: Sequence[PairSummary]) -> str:
    """An SVG picture of the pairs, in their order."""
    sizes = [size for pair in pairs for _, size in _sizes(pair)]
    low = math.floor(math.log10(min(sizes)))
    high = math.ceil(math.log10(max(sizes)))
    bottom = _TOP + _ROW * len(pairs)

    def x(size: float) -> float:
        return _LEFT + (math.log10(size) - low) / (high - low) * (_RIGHT - _LEFT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 34}" '
        f'role="img" aria-label="Patch sizes by pair and tool, logarithmic scale">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{bottom + 34}" rx="10"/>',
        *_legend(),
    ]
    for power in range(low, high + 1):
        at = x(10**power)
        parts.append(f'<line class="line" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 12}" '
                     f'y2="{bottom}"/>')  # fmt: skip
        parts.append(f'<text class="quiet" x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">'
                     f"{_amount(power)}</text>")  # fmt: skip
    for number, pair in enumerate(pairs):
        y = _TOP + _ROW * number + _ROW // 2
        title = f"{pair.pair.title}, {pair.pair.machine}" if pair.pair.code else pair.pair.title
        parts.append(f'<text x="{_LEFT - 16}" y="{y + 4}" text-anchor="end">{escape(title)}</text>')
        found = _sizes(pair)
        ends = x(min(s for _, s in found)), x(max(s for _, s in found))
        parts.append(f'<line class="line" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y}" '
                     f'y2="{y}"/>')  # fmt: skip
        for tool, size in reversed(found):
            radius = 7 if tool == "repoint" else 5
            parts.append(f'<circle cx="{x(size):.1f}" cy="{y}" r="{radius}" '
                         f'fill="{_COLOURS[tool]}"><title>{escape(_title(tool))}: {size:,} bytes'
                         f"</title></circle>")  # fmt: skip
    return "\n".join([*parts, "</svg>\n"])


def _sizes(pair: PairSummary) -> list[tuple[str, int]]:
    return [("repoint", pair.ours), *pair.peers.items()]


def _legend() -> list[str]:
    parts, at = [], 28
    for tool, colour in _COLOURS.items():
        parts.append(f'<circle cx="{at}" cy="28" r="6" fill="{colour}"/>')
        parts.append(f'<text x="{at + 12}" y="32">{escape(_title(tool))}</text>')
        at += 40 + 7 * len(_title(tool))
    return parts


def _title(tool: str) -> str:
    return "Repoint" if tool == "repoint" else TOOLS[tool].title


def _amount(power: int) -> str:
    for least, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if power >= least:
            return f"{10 ** (power - least):,} {unit}"
    return f"{10**power} B"
