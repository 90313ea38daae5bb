"""Limits for each account, so that no account can use up what others need. Without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key")


@dataclass(frozen=True)
class AccountLimits:
    """How much of something accounts may hold.

    Attributes:
        each: How much one account may hold.
        total: How much accounts without privileges may hold together with all others. An account
            can create others (man 7 user_namespaces), so a limit for each is not enough.
        is_privileged: Whether an account may change something. Other accounts cannot displace it.
    """

    each: int
    total: int
    is_privileged: Callable[[int], bool]

    def admits(self, uid: int, held: Counter[int]) -> bool:
        """Return whether an account may have one more, if the accounts hold this much."""
        if held[uid] >= self.each:
            return False
        return held.total() < self.total or self.is_privileged(uid)

    def to_evict(self, uid: int, held: Sequence[tuple[Key, int]]) -> list[Key]:
        """Return what to drop so that an account can have one more.

        Args:
            uid: The account.
            held: What is held and by which account, oldest first.
        """
        own = [key for key, owner in held if owner == uid]
        evicted = own[: max(0, len(own) - self.each + 1)]
        excess = len(held) - len(evicted) + 1 - self.total
        if excess > 0:
            others = [(key, owner) for key, owner in held if owner != uid]
            evicted += [key for key, owner in others if not self.is_privileged(owner)][:excess]
        return evicted
