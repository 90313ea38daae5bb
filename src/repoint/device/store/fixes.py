"""What the letters that this device knows fix, compared by the current ids of their fixes.

Everything here that compares what letters fix reads them through `KnownFixes`, so that an id which
the vendor has corrected is one fix with the old one everywhere: in the status, before a letter is
installed, and in what people and fleets are told.
"""

from __future__ import annotations

from repoint.device.store.product_state import ProductState
from repoint.model.improvement import Improvement
from repoint.model.renamed_ids import current_ids, with_current_ids
from repoint.model.reopened import ClaimedFix, reopened_fixes
from repoint.model.version import Letter


class KnownFixes:
    """The improvements of one product, with the current ids of their fixes.

    Args:
        state: The product.
        more: Signed improvements that are not stored yet.
    """

    def __init__(self, state: ProductState, *more: Improvement) -> None:
        installed = [
            improvement
            for link in (state.links.active(), state.links.staged())
            if link is not None and (improvement := state.generations.improvement(link)) is not None
        ]
        known = [(each.letter, each.renamed) for each in (*installed, *more)]
        known += [(each.letter, each.renamed) for each in state.documents.renamings()]
        known.sort(key=lambda each: Letter(each[0]))
        self._state = state
        self._current = current_ids(renamed for _, renamed in known)

    def current(self, improvement: Improvement) -> Improvement:
        """Return an improvement with the current ids of what it fixes."""
        return with_current_ids(improvement, self._current)

    def reopened_by(self, candidate: Improvement) -> tuple[ClaimedFix, ...]:
        """Return the fixes that are in force here, and that a candidate would reopen."""
        active = self._state.links.active()
        in_force = self._state.generations.improvement(active) if active is not None else None
        if in_force is None:
            return ()
        return reopened_fixes(self.current(in_force), self.current(candidate))
