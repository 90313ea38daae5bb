"""Wald's sequential probability ratio test of a share of bad results.

A. Wald, "Sequential Tests of Statistical Hypotheses", The Annals of Mathematical Statistics 16 (2),
1945, pages 117 to 186.

The test compares how likely the results are if a tolerable share is bad with how likely they are
if a larger share is. Wald's test ends at the first of two bounds. This one ends at the upper bound
only. Below the lower bound the letter counts as good so far, and the test continues with all that
it has seen. So the promise on false alarms holds however often somebody looks: while at most the
tolerable share is bad, the ratio is a supermartingale that starts at 1, and the chance that it ever
reaches 1 / alpha is at most alpha (J. Ville, "Étude critique de la notion de collectif",
Gauthier-Villars, Paris, 1939). A test that starts again after each acceptance has no such bound.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

Verdict = Literal["bad", "good", "open"]
"""What a test says; ``good`` may still become ``bad``."""


class SequentialTest(msgspec.Struct, frozen=True):
    """A test of a share of bad results.

    Attributes:
        tolerable: The share that is tolerated, between 0 and 1.
        intolerable: The larger share that must be found.
        false_alarms: The chance that it ever says bad although at most the tolerable share is bad.
        missed: The chance that it first says good although the intolerable share is bad.
    """

    tolerable: float
    intolerable: float
    false_alarms: float
    missed: float

    @property
    def for_bad(self) -> float:
        """What one bad result adds to the logarithm of the ratio."""
        return math.log(self.intolerable / self.tolerable)

    @property
    def for_good(self) -> float:
        """What one good result adds to the logarithm of the ratio; it is negative."""
        return math.log((1 - self.intolerable) / (1 - self.tolerable))

    @property
    def upper(self) -> float:
        """The logarithm of the ratio from which the verdict is bad."""
        return -math.log(self.false_alarms)

    @property
    def lower(self) -> float:
        """The logarithm of the ratio up to which the verdict is good."""
        return math.log(self.missed / (1 - self.false_alarms))

    def log_ratio(self, bad: int, results: int) -> float:
        """Return the logarithm of the ratio; it takes arrays of numbers too."""
        return bad * self.for_bad + (results - bad) * self.for_good

    def verdict(self, bad: int, results: int) -> Verdict:
        """Return what the results say so far."""
        ratio = self.log_ratio(bad, results)
        if ratio >= self.upper:
            return "bad"
        return "good" if ratio <= self.lower else "open"
