"""Corrections of the address map: targets that no copy covers, or that copies move wrongly.

The encoder sees where every used reference really points in the new file. Where many references
to one old address agree that it moved elsewhere, one entry here is cheaper than correcting each.
"""

import numpy as np

from repoint.delta.elf.arrays import I64, U64
from repoint.delta.elf.kinds import KINDS, Refs, Rule, groups

_COST = 7
"""Bytes an entry costs in a patch, about."""
_SAVED = 4
"""Bytes a wrongly predicted reference costs in a patch, about."""
_FARTHEST = 1 << 31
"""How far an entry may move a target (bytes): farther only in files with nothing in common, and
the decoder bounds the sum of all."""


def wanted(refs: Refs, predicted: U64, actual: U64) -> I64:
    """How far (in bytes of address) each target must move for its field to come out right."""
    out = np.zeros(len(refs), np.int64)
    for code, who in groups(refs.kind):
        k = KINDS[code]
        spare = np.int64(64 - k.bits)
        delta = ((actual[who] - predicted[who]).view(np.int64) << spare) >> spare
        unit = k.extra if k.rule is Rule.BASED else 1 << k.shift
        out[who] = 0 if k.rule is Rule.BACK else delta * unit
    return out


def choose(target: I64, delta: I64) -> tuple[I64, I64, I64]:
    """Entries (first address, end, extra delta), ascending, that save more than they cost.

    `target`/`delta`: per used reference the old address and the move still missing.
    """
    order = np.lexsort((delta, target))
    target, delta = target[order], delta[order]
    if not len(target):
        return target, target, target
    pair = np.concatenate([[True], (np.diff(target) != 0) | (np.diff(delta) != 0)])
    index = np.flatnonzero(pair)
    votes = np.diff(np.append(index, len(target)))
    where, move = target[index], delta[index]
    best = np.lexsort((-votes, where))
    fresh = np.concatenate([[True], np.diff(where[best]) != 0])
    best = best[fresh]
    where, move, votes = where[best], move[best], votes[best]
    gain = votes - _zero_votes(target, delta, where)
    run = np.concatenate([[True], np.diff(move) != 0])
    first = np.flatnonzero(run)
    last = np.append(first[1:], len(where)) - 1
    saved = np.add.reduceat(gain, first) * _SAVED
    good = (move[first] != 0) & (np.abs(move[first]) < _FARTHEST) & (saved > _COST)
    return where[first][good], where[last][good] + 1, move[first][good]


def _zero_votes(target: I64, delta: I64, where: I64) -> I64:
    """How many references to each address are right already (and would become wrong)."""
    right = target[delta == 0]
    return np.searchsorted(right, where, "right") - np.searchsorted(right, where, "left")
