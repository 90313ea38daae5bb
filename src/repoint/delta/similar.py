"""Which old file a new file is most like, when names no longer say it.

Every window of eight bytes is hashed and those with the smallest hashes are kept: the same windows
in every file, wherever they lie, so a file's *sketch* is a fair sample of its content (Broder, "On
the resemblance and containment of documents", 1997). How many of a new file's samples an old file
has as well says how much of the new file can be copied from it.
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
"""About how many a sketch keeps: the error of a containment is then well below 0.01."""
_FEWEST_SAMPLES = 8
"""With fewer samples in common reach, content says nothing and the names decide."""
_MULTIPLIER = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio (Knuth, volume 3, section 6.4: multiplicative hashing)."""
_LEAST_CONTAINMENT = 0.1
"""Programs of one compiler have a few per cent of their windows in common whatever they do."""
_NEARLY = 0.9
"""Old files that have this much of what the best one has are told apart by their names."""
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
    """The sketch of a file, read in chunks (memory does not grow with the file), or of its bytes.

    Raises:
        OSError: The file cannot be read.
    """
    import numpy as np

    size = _size(file)
    limit = 1 << (64 - max(0, (size // _SAMPLES).bit_length()))
    kept = [np.unique(part) for part in _hashes(file, limit)]
    return Sketch(np.unique(np.concatenate(kept)) if kept else np.empty(0, np.uint64), limit)


def similarity(new: Path, old: Path) -> float:
    """How much of the new file the old one has as well: from 0.0 to 1.0.

    Raises:
        OSError: A file cannot be read.
    """
    a, b = sketch(new), sketch(old)
    return _Index({"": b}).containment(a)[0][0]


def best_sources(
    new: Mapping[str, Path] | Mapping[str, bytes], old: Mapping[str, Path] | Mapping[str, bytes]
) -> dict[str, str]:
    """For each new file the old file that it is most like; those that are like none are left out.

    Where several old files have nearly as much of it, and where a file is too small for its content
    to tell, the names decide, without the content hashes that some tools put into them
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
    """A path without the content hash in its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + _CONTENT_HASH.sub("", last)


def _best(name: str, file: Path | bytes, index: _Index) -> str | None:
    if not _size(file):
        return None
    scores = index.containment(sketch(file))
    scored = [(score, source) for (score, _), source in zip(scores, index.names, strict=True)]
    top = max((score for score, _ in scored), default=0.0)
    if top >= _LEAST_CONTAINMENT:
        near = [(score, source) for score, source in scored if score >= top * _NEARLY]
        return max(near, key=lambda each: (_name_ratio(name, each[1]), each[0], each[1]))[1]
    unsure = [
        source
        for (_, reach), source in zip(scores, index.names, strict=True)
        if reach < _FEWEST_SAMPLES
    ]
    ratios = [(_name_ratio(name, source), source) for source in unsure]
    ratio, source = max(ratios, default=(0.0, ""))
    return source if ratio >= _LEAST_NAME_RATIO else None


class _Index:
    """Old sketches, made to be compared with many new ones."""

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
        """Per old file the share of the new one's samples that it has, of how many.

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
    """The hashes below the limit of all windows, a part at a time, unsorted."""
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
    """How alike two names are, from 0.0 to 1.0."""
    return SequenceMatcher(None, plain_name(new), plain_name(old), autojunk=False).ratio()
