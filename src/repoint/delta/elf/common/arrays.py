"""Array types and helpers: unaligned words and ragged ranges."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Buffer

Bytes = NDArray[np.uint8]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]


def words(data: Bytes, dtype: str) -> NDArray[Any]:
    """Return the word at every byte position of `data`, as an overlapping, unaligned view.

    Element i is the little-endian word whose first byte is data[i]. Reading and writing through
    an index array works on every machine that NumPy supports; NumPy copies element by element.
    """
    kind = np.dtype(dtype)
    count = max(0, len(data) - kind.itemsize + 1)
    return np.ndarray((count,), kind, data, 0, (1,))


def ragged(starts: I64, ends: I64) -> tuple[I64, I64]:
    """Return all integers of the half-open intervals [starts[i], ends[i]), in order.

    The result is (i, value) as two flat arrays; an interval with end <= start is empty.
    """
    counts = np.maximum(ends - starts, 0)
    owner = np.repeat(np.arange(len(starts), dtype=np.int64), counts)
    first = np.cumsum(counts) - counts
    value = np.arange(len(owner), dtype=np.int64) + np.repeat(starts - first, counts)
    return owner, value


def concat(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """Return the parts joined; an empty list gives an empty array of `dtype`."""
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def view(data: Bytes) -> memoryview:
    """Return the same bytes for `struct` and slicing."""
    return memoryview(cast("Buffer", data))
