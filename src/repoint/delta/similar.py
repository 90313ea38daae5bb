"""Finding the old file that a new file resembles most, when their names differ.

Every window of eight bytes is hashed, and the windows with the smallest hashes are kept. Those are
the same windows in every file, wherever they lie, so a file's *sketch* is a fair sample of its
content (Broder, "On the resemblance and containment of documents", 1997). The share of a new file's
samples that an old file contains estimates how much of the new file can be copied from it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Hashes = npt.NDArray[np.uint64]

_WINDOW = 8
_CHUNK = 4 << 20
_SAMPLES = 16384
"""Approximate size of a sketch; it keeps the error of a containment well below 0.01."""
_FEWEST_SAMPLES = 8
"""With fewer comparable samples, content is no evidence, and the names decide."""
_MULTIPLIER = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio (Knuth, volume 3, section 6.4: multiplicative hashing)."""
_LEAST_CONTAINMENT = 0.1
"""Any two programs of one compiler have a few per cent of their windows in common."""
_CLOSE = 0.9
"""Among old files with at least this share of the best one's score, the names decide."""
_LEAST_NAME_RATIO = 0.8
_CONTENT_HASH = re.compile(r"[-.](?=[0-9a-f]*[0-9])[0-9a-f]{8,64}(?=\.|$)")


class Sketch(NamedTuple):
    """A sample of a file's windows.

    Attributes:
        hashes: The hashes below `limit`, sorted, each once.
        limit: Two to the power of 64 for all windows of a small file; less for a large one.
    """

    hashes: _Hashes
    limit: int


def sketch(file: Path | bytes) -> Sketch:
    """Return the sketch of a file, which is read in chunks to bound memory, or of its bytes.

    Raises:
        OSError: The file cannot be read.
    """
    import numpy as np

    size = _size(file)
    limit = 1 << (64 - max(0, (size // _SAMPLES).bit_length()))
    parts = [np.unique(part) for part in _hashes(file, limit)]
    return Sketch(np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64), limit)


def similarity(new: Path, old: Path) -> float:
    """Return the share of the new file that the old one contains, from 0.0 to 1.0.

    Raises:
        OSError: A file cannot be read.
    """
    a, b = sketch(new), sketch(old)
    return _Index({"": b}).containment(a)[0][0]


def best_sources(
    new: Mapping[str, Path] | Mapping[str, bytes], old: Mapping[str, Path] | Mapping[str, bytes]
) -> dict[str, str]:
    """Return for each new file the most similar old file; omit files that resemble none.

    If several old files contain nearly the same share, or a file is too small to compare by
    content, the names decide, without the content hashes that some tools put into them
    (`libwebp-8b6d8948.so.7.1.7` and `libwebp-850e2bec.so.7.1.8`).

    Args:
        new: The new files by their names, or their bytes.
        old: The old files by their names, or their bytes.

    Raises:
        OSError: A file cannot be read.
    """
    index = _Index({name: sketch(file) for name, file in old.items()})
    found = {name: _best(name, file, index) for name, file in new.items()}
    return {name: source for name, source in found.items() if source is not None}


def plain_name(name: str) -> str:
    """Return a path without the content hash in its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + _CONTENT_HASH.sub("", last)


def _best(name: str, file: Path | bytes, index: _Index) -> str | None:
    if not _size(file):
        return None
    scores = index.containment(sketch(file))
    scored = [(score, source) for (score, _), source in zip(scores, index.names, strict=True)]
    top = max((score for score, _ in scored), default=0.0)
    if top >= _LEAST_CONTAINMENT:
        close = [(score, source) for score, source in scored if score >= top * _CLOSE]
        return max(close, key=lambda each: (_name_ratio(name, each[1]), each[0], each[1]))[1]
    not_comparable = [
        source
        for (_, reach), source in zip(scores, index.names, strict=True)
        if reach < _FEWEST_SAMPLES
    ]
    ratios = [(_name_ratio(name, source), source) for source in not_comparable]
    ratio, source = max(ratios, default=(0.0, ""))
    return source if ratio >= _LEAST_NAME_RATIO else None


class _Index:
    """Old sketches, indexed for comparison with many new ones."""

    def __init__(self, sketches: Mapping[str, Sketch]) -> None:
        import numpy as np

        self.names = list(sketches)
        self._limits = [each.limit for each in sketches.values()]
        sizes = [len(each.hashes) for each in sketches.values()]
        hashes = [each.hashes for each in sketches.values()]
        joined = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        order = np.argsort(joined, kind="stable")
        self._hashes = joined[order]
        self._owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]

    def containment(self, new: Sketch) -> list[tuple[float, int]]:
        """Return per old file (share of the new file's samples that it contains, sample count).

        Two sketches are compared below the lower of their limits, where both are complete.
        """
        import numpy as np

        first = np.searchsorted(self._hashes, new.hashes, "left")
        counts = np.searchsorted(self._hashes, new.hashes, "right") - first
        # The positions first[i], first[i] + 1, ... of all matches, one after the other.
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        positions = np.arange(total) + np.repeat(first - (ends - counts), counts)
        shared = np.bincount(self._owners[positions], minlength=len(self.names))
        result = []
        for owner, limit in enumerate(self._limits):
            below = np.uint64(min(limit, new.limit) - 1)
            reach = int(np.searchsorted(new.hashes, below, "right"))
            result.append((float(shared[owner]) / reach if reach else 0.0, reach))
        return result


def _size(file: Path | bytes) -> int:
    return file.stat().st_size if isinstance(file, Path) else len(file)


def _hashes(source: Path | bytes, limit: int) -> Iterator[_Hashes]:
    """Yield the hashes of all windows that are below the limit, in unsorted parts."""
    import numpy as np

    below = np.uint64(limit - 1)
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            data = tail + chunk
            for offset in range(min(_WINDOW, max(0, len(data) - _WINDOW + 1))):
                count = (len(data) - offset) // _WINDOW
                windows = np.frombuffer(data, "<u8", count, offset)
                hashes = windows * np.uint64(_MULTIPLIER)
                yield hashes[hashes <= below]
            tail = data[-(_WINDOW - 1) :]


def _name_ratio(new: str, old: str) -> float:
    """Return how similar two names are, from 0.0 to 1.0."""
    return SequenceMatcher(None, plain_name(new), plain_name(old), autojunk=False).ratio()
