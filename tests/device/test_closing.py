"""Closing programs, however many another account has started."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.device.activate.closing import close_programs
from repoint.device.status.census import Census, Use
from repoint.host.host import Host
from repoint.host.kernel.processes import Process

MANY = 60


@pytest.fixture
def programs() -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(MANY)]
    yield started
    for program in started:
        program.kill()
        program.wait()


@pytest.fixture
def few_descriptors(programs: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open("/", os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_descriptors")
def test_more_processes_than_descriptors_are_closed(
    programs: list[subprocess.Popen[bytes]],
) -> None:
    uses = [Use(program.pid, "sleep", "seal", (), foreign=True) for program in programs]
    identities = {use.pid: Process(Path("/proc", str(use.pid))).identity() for use in uses}
    assert close_programs(Host.local(), Census(tuple(uses), (), identities), uses, 10) == ()
    # What has ended and was not waited for has ended all the same.
    assert all(program.wait() == -15 for program in programs)
