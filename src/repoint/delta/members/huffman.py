"""zlib's Huffman codes, with its rules for ties and for codes that are too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LENGTH_EXTRA = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
DISTANCE_EXTRA = tuple(max(0, code // 2 - 1) for code in range(30))
_LENGTHS_EXTRA = (0,) * 16 + (2, 3, 7)
END = 256
_FIXED_LITERALS = (8,) * 144 + (9,) * 112 + (7,) * 24 + (8,) * 8
_FIXED_DISTANCES = (5,) * 30
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
"""The order in which the lengths of the codes for lengths are sent (RFC 1951, 3.2.7)."""


class Code(NamedTuple):
    """A prefix code.

    Attributes:
        lengths: Per symbol the bits of its code; zero for one that does not occur.
        codes: Per symbol its code, the first bit lowest.
        used: Symbols up to the last that occurs.
        cost: Bits that all symbols take, with their extra bits.
    """

    lengths: list[int]
    codes: list[int]
    used: int
    cost: int


def literal_code(counts: Sequence[int]) -> Code:
    """Return the code of literals, end of block and match lengths, from their frequencies."""
    return _code([*counts], (0,) * 257 + LENGTH_EXTRA, 15)


def distance_code(counts: Sequence[int]) -> Code:
    """Return the code of distances, from their frequencies."""
    return _code([*counts], DISTANCE_EXTRA, 15)


def fixed_codes() -> tuple[Code, Code]:
    """Return the fixed codes of literals and distances (RFC 1951, 3.2.6)."""
    return (
        Code(list(_FIXED_LITERALS), _canonical(_FIXED_LITERALS, 15), 288, 0),
        Code(list(_FIXED_DISTANCES), _canonical(_FIXED_DISTANCES, 15), 30, 0),
    )


def fixed_cost(literals: Sequence[int], distances: Sequence[int]) -> int:
    """Return the bits that symbols take in the fixed codes, from their frequencies."""
    extra = (0,) * 257 + LENGTH_EXTRA
    return sum(
        count * (_FIXED_LITERALS[i] + extra[i]) for i, count in enumerate(literals) if count
    ) + sum(count * (5 + DISTANCE_EXTRA[i]) for i, count in enumerate(distances) if count)


def description(literals: Code, distances: Code) -> tuple[list[tuple[int, int]], int]:
    """Return the header that describes a block's codes: (value, bits) in order, and total bits."""
    runs = _runs(literals.lengths[: literals.used]) + _runs(distances.lengths[: distances.used])
    counts = [0] * 19
    for symbol, _ in runs:
        counts[symbol] += 1
    code = _code(counts, _LENGTHS_EXTRA, 7)
    sent = 19
    while sent > 4 and not code.lengths[_ORDER[sent - 1]]:
        sent -= 1
    fields = [(literals.used - 257, 5), (distances.used - 1, 5), (sent - 4, 4)]
    fields += [(code.lengths[symbol], 3) for symbol in _ORDER[:sent]]
    for symbol, rest in runs:
        fields.append((code.codes[symbol], code.lengths[symbol]))
        if _LENGTHS_EXTRA[symbol]:
            fields.append((rest, _LENGTHS_EXTRA[symbol]))
    return fields, sum(bits for _, bits in fields)


def _runs(lengths: list[int]) -> list[tuple[int, int]]:
    """Return code lengths as symbols 0 to 18, each with its extra bits (RFC 1951, 3.2.7)."""
    symbols: list[tuple[int, int]] = []
    before, at = -1, 0
    while at < len(lengths):
        length = lengths[at]
        most = 138 if not length else 6 if length == before else 7
        run = 1
        while run < most and at + run < len(lengths) and lengths[at + run] == length:
            run += 1
        at += run
        fresh = length != 0 and length != before
        if fresh and run > 3:
            symbols.append((length, 0))
            run -= 1
        elif fresh or run < 3:
            symbols += [(length, 0)] * run
            run = 0
        if run and length:
            symbols.append((16, run - 3))
        elif run:
            symbols.append((17, run - 3) if run <= 10 else (18, run - 11))
        before = length
    return symbols


def _code(counts: list[int], extra: Sequence[int], longest: int) -> Code:
    """Return zlib's code: a heap by count, then by depth, with zlib's order for ties."""
    elements = len(counts)
    heap = [i for i, count in enumerate(counts) if count]
    last = heap[-1] if heap else -1
    paid = {i: count for i, count in enumerate(counts) if count}
    # A code needs at least two symbols; added ones cost nothing.
    while len(heap) < 2:
        added = last + 1 if last < 2 else 0
        last = max(last, added)
        heap.append(added)
        counts[added] = 1
    weight = counts + [0] * elements
    depth = [0] * (2 * elements)
    parent = [0] * (2 * elements)
    order = _merge(heap, weight, depth, parent, elements)
    lengths = _lengths(order, parent, elements, last, longest)
    cost = sum(count * (lengths[i] + extra[i]) for i, count in paid.items())
    return Code(lengths, _canonical(lengths, longest), last + 1, cost)


def _merge(
    heap: list[int], weight: list[int], depth: list[int], parent: list[int], first: int
) -> list[int]:
    """Join the two lightest nodes until one is left; return all nodes, the last joined first."""

    def lighter(a: int, b: int) -> bool:
        return weight[a] < weight[b] or (weight[a] == weight[b] and depth[a] <= depth[b])

    def sift(k: int) -> None:
        node = heap[k]
        child = 2 * k + 1
        while child < len(heap):
            if child + 1 < len(heap) and lighter(heap[child + 1], heap[child]):
                child += 1
            if lighter(node, heap[child]):
                break
            heap[k] = heap[child]
            k, child = child, 2 * child + 1
        heap[k] = node

    for k in range(len(heap) // 2 - 1, -1, -1):
        sift(k)
    taken: list[int] = []
    node = first
    while True:
        a = heap[0]
        heap[0] = heap[-1]
        heap.pop()
        sift(0)
        b = heap[0]
        taken += [a, b]
        weight[node] = weight[a] + weight[b]
        depth[node] = max(depth[a], depth[b]) + 1
        parent[a] = parent[b] = node
        heap[0] = node
        node += 1
        sift(0)
        if len(heap) < 2:
            break
    taken.append(heap[0])
    return taken[::-1]


def _lengths(
    order: list[int], parent: list[int], elements: int, last: int, longest: int
) -> list[int]:
    """Return the code lengths of the tree, none above `longest`."""
    bits = [0] * (2 * elements)
    used = [0] * (longest + 1)
    overflow = 0
    for node in order[1:]:
        bits[node] = bits[parent[node]] + 1
        if bits[node] > longest:
            bits[node] = longest
            overflow += 1
        if node <= last:
            used[bits[node]] += 1
    if overflow:
        while overflow > 0:
            length = longest - 1
            while not used[length]:
                length -= 1
            used[length] -= 1
            used[length + 1] += 2
            used[longest] -= 1
            overflow -= 2
        leaves = iter([node for node in reversed(order) if node <= last])
        for length in range(longest, 0, -1):
            for _ in range(used[length]):
                bits[next(leaves)] = length
    return bits[:elements]


def _canonical(lengths: Sequence[int], longest: int) -> list[int]:
    """Return codes from lengths (RFC 1951, 3.2.2), each with its first bit lowest."""
    following, code = [0] * (longest + 1), 0
    for length in range(1, longest + 1):
        code = (code + sum(1 for each in lengths if each == length - 1 and each)) << 1
        following[length] = code
    codes = []
    for length in lengths:
        if not length:
            codes.append(0)
            continue
        codes.append(int(f"{following[length]:0{length}b}"[::-1], 2))
        following[length] += 1
    return codes
