"""Copies: ranges of the new file that come from the old one."""

from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.common.arrays import I64, ragged


@dataclass(frozen=True)
class Copies:
    """Copied ranges: new[new : new + length] comes from old[old : old + length].

    Columns of equal length, sorted by `new`; ranges do not overlap in the new file.
    """

    new: I64
    old: I64
    length: I64

    def __len__(self) -> int:
        return len(self.new)

    def split(self, old_cuts: I64, new_cuts: I64) -> "Copies":
        """Return the same ranges, split wherever either side passes a cut."""
        new, old, length = self.new, self.old, self.length
        for side, cuts in ((0, old_cuts), (1, new_cuts)):
            first = old if side == 0 else new
            low = np.searchsorted(cuts, first, "right")
            high = np.searchsorted(cuts, first + length, "left")
            owner, passed = ragged(low, high)
            at = np.concatenate([first, cuts[passed]])
            index = np.concatenate([np.arange(len(first)), owner])
            order = np.lexsort((at, index))
            at, index = at[order], index[order]
            last = np.append(index[1:] != index[:-1], True) if len(index) else np.zeros(0, np.bool_)
            until = np.append(at[1:], 0)
            until[last] = (first + length)[index[last]]
            step = at - first[index]
            new, old, length = new[index] + step, old[index] + step, until - at
        return Copies(new, old, length)
