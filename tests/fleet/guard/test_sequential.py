"""Wald's test: its figures, and its promise on false alarms under any number of looks."""

from __future__ import annotations

import numpy as np
import pytest

from repoint.fleet.guard.judgement import Counts, Limits, failure_test, silence_test

TEST = failure_test(Limits(), 1)


def test_the_ratio_is_that_of_the_two_likelihoods() -> None:
    exact = (0.02**3 * 0.98**97) / (0.005**3 * 0.995**97)
    assert TEST.log_ratio(3, 100) == pytest.approx(np.log(exact))
    assert TEST.upper == pytest.approx(np.log(100))
    assert TEST.lower == pytest.approx(np.log(0.05 / 0.99))


@pytest.mark.parametrize(
    ("bad", "devices", "verdict"),
    [
        (0, 0, "open"),
        (1, 1, "open"),
        (3, 3, "open"),
        (4, 4, "bad"),
        (4, 100, "open"),
        (5, 100, "bad"),
        (0, 196, "open"),
        (0, 197, "good"),
        (50, 10_000, "good"),
        (500, 10_000, "bad"),
    ],
)
def test_the_verdict_follows_from_the_counts(bad: int, devices: int, verdict: str) -> None:
    assert TEST.verdict(bad, devices) == verdict


def test_a_tolerable_letter_is_rarely_condemned_even_if_somebody_looks_after_every_device() -> None:
    generator = np.random.default_rng(1)
    runs, devices = 2_000, 20_000
    condemned = 0
    for _ in range(runs):
        bad = np.cumsum(generator.random(devices) < 0.005)
        ratio = bad * TEST.for_bad + (np.arange(1, devices + 1) - bad) * TEST.for_good
        condemned += bool(ratio.max() >= TEST.upper)
    assert condemned / runs <= 0.01


def test_an_intolerable_letter_is_rarely_called_good_first() -> None:
    generator = np.random.default_rng(2)
    runs, devices = 1_000, 5_000
    missed = 0
    for _ in range(runs):
        bad = np.cumsum(generator.random(devices) < 0.02)
        ratio = bad * TEST.for_bad + (np.arange(1, devices + 1) - bad) * TEST.for_good
        first_bad, first_good = np.argmax(ratio >= TEST.upper), np.argmax(ratio <= TEST.lower)
        missed += bool(first_good and (not first_bad or first_good < first_bad))
    assert missed / runs <= 0.055  # Wald's bound is 0.05 / 0.99


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 0.8, 0.97])
def test_as_many_silent_devices_as_for_the_letter_before_are_tolerated(share: float) -> None:
    test = silence_test(Counts(waited=10_000, silent=int(share * 10_000)), Limits(), 2)
    assert 0 < test.tolerable < test.intolerable < 1
    assert test.verdict(int(share * 5_000), 5_000) == "good"
    assert test.verdict(2_000, 2_000) == "bad"
