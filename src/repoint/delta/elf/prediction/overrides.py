"""Corrections of the address map, chosen by the encoder.

They are for targets that no copy covers, or that copies move wrongly. The encoder knows where every
used reference points in the new file. If many references to one old address agree that it moved
elsewhere, one correction of the map is cheaper than correcting each reference.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, U64
from repoint.delta.elf.references.kinds import KINDS, Refs, Rule, groups

_COST = 7
"""Approximate cost of a correction in a patch, in bytes."""
_SAVED = 4
"""Approximate cost of a wrongly predicted reference in a patch, in bytes."""
_FARTHEST = 1 << 31
"""The farthest move of a target, in bytes. Only files with nothing in common ask for more, and the
decoder bounds the sum of all moves."""


def missing_moves(refs: Refs, predicted: U64, actual: U64) -> I64:
    """Return how far each target must move for its field to be right, in bytes of address."""
    out = np.zeros(len(refs), np.int64)
    for code, index in groups(refs.kind):
        k = KINDS[code]
        spare = np.int64(64 - k.bits)
        delta = ((actual[index] - predicted[index]).view(np.int64) << spare) >> spare
        unit = k.extra if k.rule is Rule.BASED else 1 << k.shift
        out[index] = 0 if k.rule is Rule.BACK else delta * unit
    return out


def choose(target: I64, delta: I64) -> tuple[I64, I64, I64]:
    """Return the corrections (first address, end, extra delta) that save more than they cost.

    Args:
        target: Old address of the target of each used reference.
        delta: How far it must still move.
    """
    order = np.lexsort((delta, target))
    target, delta = target[order], delta[order]
    if not len(target):
        return target, target, target
    pair = np.concatenate([[True], (np.diff(target) != 0) | (np.diff(delta) != 0)])
    first_votes = np.flatnonzero(pair)
    votes = np.diff(np.append(first_votes, len(target)))
    where, move = target[first_votes], delta[first_votes]
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
    """Return how many references to each address are already right and would become wrong."""
    right = target[delta == 0]
    return np.searchsorted(right, where, "right") - np.searchsorted(right, where, "left")
