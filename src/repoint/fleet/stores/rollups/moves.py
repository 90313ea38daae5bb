"""Move devices without an id from one letter to another.

Strangers choose how many letters a baseline has and how many moves one transaction carries out. So
the letter that most devices have is looked up in a tree of maxima, in a few steps for each move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from repoint.fleet.stores.names import Names
from repoint.fleet.stores.tables import adoption
from repoint.fleet.stores.transitions import HOUR, Changes

_LISTED: Final = 10_000
"""Letters in one statement. SQLite permits 32,766 parameters by default."""


def add_moves(connection: sa.Connection, changes: Changes, names: Names, now: int) -> None:
    """Move devices to letters, each from the earlier letter that most devices have in force."""
    baselines = {move.letter: names.line(move.letter) for move in changes.moves}
    lines = {line[0]: line for line in baselines.values()}
    counts = _in_force(connection, [number for line in lines.values() for number in line], now)
    for (letter, hour), entry in changes.adoption.items():
        if letter in counts and hour <= now // HOUR:
            counts[letter] += entry[0]
    trees = {first: _Line(line, counts) for first, line in lines.items()}
    for move in changes.moves:
        changes.adopt(move.letter, move.hour, 1, 0)
        changes.adopt(move.letter, move.until, -1, 0)
        line = trees[baselines[move.letter][0]]
        source = line.most_before(move.letter)
        line.add(move.letter, 1)
        if source:
            line.add(source, -1)
            changes.adopt(source, move.hour, -1, 0)
            changes.adopt(source, move.until, 1, 0)


def _in_force(connection: sa.Connection, numbers: Sequence[int], now: int) -> dict[int, int]:
    """Return how many devices have each of some letters in force now."""
    counts = dict.fromkeys(numbers, 0)
    for start in range(0, len(numbers), _LISTED):
        query = (
            sa.select(adoption.c.letter, sa.func.sum(adoption.c.devices))
            .where(
                adoption.c.letter.in_(numbers[start : start + _LISTED]),
                adoption.c.hour <= now // HOUR,
            )
            .group_by(adoption.c.letter)
        )
        counts |= {row[0]: int(row[1]) for row in connection.execute(query)}
    return counts


class _Line:
    """The letters of one baseline in their order, and the devices of each.

    A node of the tree is the larger of the two below it; the letters are the leaves.
    """

    def __init__(self, numbers: Sequence[int], counts: Mapping[int, int]) -> None:
        self._leaf = {number: len(numbers) + index for index, number in enumerate(numbers)}
        self._best = [(0, 0)] * len(numbers) + [(counts[number], number) for number in numbers]
        for node in range(len(numbers) - 1, 0, -1):
            self._best[node] = max(self._best[2 * node : 2 * node + 2])

    def add(self, number: int, devices: int) -> None:
        """Change the devices of a letter."""
        node = self._leaf[number]
        self._best[node] = (self._best[node][0] + devices, number)
        while node > 1:
            node //= 2
            self._best[node] = max(self._best[2 * node : 2 * node + 2])

    def most_before(self, number: int) -> int:
        """Return the earlier letter that most devices have; 0 if no device has one."""
        devices, found = max(self._before(number), default=(0, 0))
        return found if devices > 0 else 0

    def _before(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield the best of nodes that together hold all earlier letters, and no others."""
        first, last = len(self._leaf), self._leaf[number]
        while first < last:
            if first % 2:
                yield self._best[first]
                first += 1
            if last % 2:
                last -= 1
                yield self._best[last]
            first, last = first // 2, last // 2
