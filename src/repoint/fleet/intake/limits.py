"""How much one address may send: a bucket of tokens for each."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

_MOST_ADDRESSES: Final = 100_000
"""Addresses that are remembered. Those that were silent longest are forgotten first."""


class AddressLimits:
    """The limits of all addresses. An IPv6 network of 64 bits, which one customer has, is one."""

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        """Set the limit.

        Args:
            most: What an address may send in a time, and at once after as long a silence; 0 for no
                limit.
            seconds: The time.
        """
        self._capacity = float(most)
        self._rate = most / seconds
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str, number: int, now: float) -> int:
        """Take tokens from an address; return seconds to wait if there are too few.

        Args:
            address: The address of the peer, as text.
            number: How many. More than fit into an empty bucket take all that fit.
            now: The time, in seconds of a clock that only moves forward.
        """
        if not self._capacity:
            return 0
        key = network_of(address)
        tokens, last = self._buckets.pop(key, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - last) * self._rate)
        needed = min(float(number), self._capacity)
        enough = tokens >= needed
        self._buckets[key] = (tokens - needed if enough else tokens, now)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0 if enough else int((needed - tokens) / self._rate) + 1


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 address the first 64 bits."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
