"""Another account cannot hold `status` up with what it keeps: the work for each account is bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from repoint.device.status.allowance import (
    ALL_ACCOUNTS,
    MOST_BYTES,
    PER_ACCOUNT,
    Allowances,
    ExhaustedError,
)
from repoint.device.status.census import census_of
from repoint.host.host import Host
from tests.places import MAPS_A_LIBRARY, Place


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def works_for(allowances: Allowances, clock: Clock, user: int, seconds: float) -> bool:
    """Work for a process of an account in small steps; return whether that was possible."""
    try:
        with allowances.of(user) as spend:
            for _ in range(10):
                spend(1)
                clock.now += seconds / 10
            return True
    except ExhaustedError:
        return False


def test_each_account_has_its_own_time_and_what_one_uses_up_no_other_lacks() -> None:
    clock = Clock()
    allowances = Allowances({0}, clock)
    assert works_for(allowances, clock, 1000, PER_ACCOUNT / 2)
    assert not works_for(allowances, clock, 1000, PER_ACCOUNT)
    assert not works_for(allowances, clock, 1000, 0)
    assert works_for(allowances, clock, 1001, PER_ACCOUNT / 2)


def test_an_account_with_many_numbers_gets_no_more_than_all_accounts_together() -> None:
    clock = Clock()
    allowances = Allowances({0}, clock)
    for user in range(1000, 1100):
        works_for(allowances, clock, user, PER_ACCOUNT)
    assert clock.now - 100 < ALL_ACCOUNTS + 10 * PER_ACCOUNT / 10 + 0.1
    assert not works_for(allowances, clock, 2000, 0)


def test_the_bytes_that_are_held_for_an_account_are_bounded() -> None:
    with pytest.raises(ExhaustedError), Allowances({0}, Clock()).of(1000) as spend:
        spend(MOST_BYTES)
        spend(1)


def test_root_and_the_owner_of_the_store_have_no_bound() -> None:
    clock = Clock()
    allowances = Allowances({0, 1000}, clock)
    for user in (0, 1000):
        assert works_for(allowances, clock, user, 1000)
        with allowances.of(user) as spend:
            spend(2 * MOST_BYTES)


HOARDER = """
import contextlib, mmap, os, resource, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
file = os.open("/etc/passwd", os.O_RDONLY)
kept = []
with contextlib.suppress(OSError):
    while len(kept) < 60_000:
        kept.append(mmap.mmap(file, 1, prot=mmap.PROT_READ | mmap.PROT_EXEC))
with contextlib.suppress(OSError):
    while os.dup(file) < 60_000:
        pass
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hoarders() -> Iterator[list[int]]:
    """Processes of another account with as many maps and descriptors as the kernel allows."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as another account")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HOARDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
        )
        for _ in range(8)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == b"ready\n"
    yield [each.pid for each in started]
    for each in started:
        each.kill()
        each.communicate()


@pytest.mark.slow
def test_another_account_cannot_hold_the_status_up(place: Place, hoarders: list[int]) -> None:
    place.enroll()
    mine = place.run(MAPS_A_LIBRARY, launched=False)
    started, used = time.monotonic(), time.thread_time()
    census = census_of(place.device.store, Host.local())
    assert time.thread_time() - used < PER_ACCOUNT + 2
    assert time.monotonic() - started < 30
    # What belongs to root is looked at as ever; of the other account, it is said what was not.
    assert mine in {use.pid for use in census.uses}
    assert len(census.unreadable) >= 2
