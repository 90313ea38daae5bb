"""Which devices are exposed to which CVE: computed from the letters in force, never stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from repoint.fleet.records import Adoption, LetterName
from repoint.model.baseline import BaselineName


class BaselineKey(NamedTuple):
    """A baseline of a product."""

    product: str
    platform: str
    version: str
    build: str

    @classmethod
    def of(cls, product: str, name: BaselineName | LetterName) -> BaselineKey:
        """Return the key of a baseline, or of the baseline of a letter."""
        return cls(product, name.platform, name.version, name.build)


Fixes = Mapping[BaselineKey, Mapping[str, frozenset[str]]]
"""For each baseline, the CVE ids that each of its letters fixes, withdrawn ones too."""


class Exposure(msgspec.Struct, frozen=True):
    """The devices that were exposed to a CVE in one hour.

    Attributes:
        time: The start of the hour, in seconds since 1970.
        devices: Devices whose letter in force lacks the fix, or on which some process still ran
            replaced code.
        unknown: Devices with a baseline of which no letter fixes it: perhaps it was never affected.
            Also devices with a letter that the repository did not have when it was last read.
    """

    time: int
    cve: str
    devices: int
    unknown: int


def exposures(adoption: Iterable[Adoption], fixes: Fixes) -> list[Exposure]:
    """Return the devices that were exposed to each CVE, oldest first, for one product."""
    cves = sorted({cve for letters in fixes.values() for one in letters.values() for cve in one})
    known = {baseline: frozenset().union(*letters.values()) for baseline, letters in fixes.items()}
    exposed: dict[tuple[int, str], int] = defaultdict(int)
    unknown: dict[tuple[int, str], int] = defaultdict(int)
    times: list[int] = []
    for entry in adoption:
        if not times or times[-1] != entry.time:
            times.append(entry.time)
        baseline = BaselineKey.of(entry.letter.product, entry.letter)
        letters = fixes.get(baseline, {})
        held = letters.get(entry.letter.letter, frozenset())
        is_known = not entry.letter.letter or entry.letter.letter in letters
        for cve in cves:
            key = (entry.time, cve)
            if not is_known or cve not in known.get(baseline, ()):
                unknown[key] += entry.devices
            else:
                exposed[key] += entry.exposed if cve in held else entry.devices
    return [
        Exposure(time, cve, exposed[(time, cve)], unknown[(time, cve)])
        for time in times
        for cve in cves
    ]
