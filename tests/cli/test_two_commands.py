"""Two commands at once: one works, the other waits and says for whom, or gives up."""

from __future__ import annotations

import os
import subprocess

import pytest

from repoint.device.device import Device
from repoint.device.errors import StoreBusyError
from repoint.device.store.store_lock import locked
from tests.cli.command import COMMAND, environment, everything, refusal, repoint
from tests.places import Place
from tests.world import Vendor


def test_a_command_waits_for_another_one_and_names_it(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    with locked(store, "repoint install"):
        command = [*COMMAND, "check", "--store", str(store)]
        waiting = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        assert waiting.stderr is not None
        line = waiting.stderr.readline()
        assert line == f"Waiting for `repoint install` (process {os.getpid()}) …\n"
        assert waiting.poll() is None
    out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, err) == (0, "")
    assert "26.3.1 (a)" in out


def test_a_command_that_waited_too_long_names_the_other_one(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    before = everything(enrolled.folder)
    with locked(store, "repoint install"), pytest.raises(StoreBusyError) as refused:
        Device(store, wait=0.1).check(None)
    assert str(refused.value) == (
        f"`repoint install` (process {os.getpid()}) is changing the store. "
        "Wait until it is done, then try again"
    )
    assert everything(enrolled.folder) == before


def test_commands_that_only_read_do_not_wait(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    with locked(store, "repoint install"):
        for command in ("status", "history", "settings"):
            answer = repoint(command, "--store", store)
            assert (answer.status, answer.err) == (0, "")


def test_two_commands_that_start_together_both_succeed(enrolled: Place) -> None:
    command = [*COMMAND, "check", "--store", str(enrolled.folder / "store")]
    both = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) for _ in range(2)
    ]
    assert [one.wait(timeout=20) for one in both] == [0, 0]


def test_a_second_publication_is_refused_and_names_the_first(shop: Vendor) -> None:
    with shop.repository.publication(lambda role: b""):
        answer = repoint("repository", "refresh", "--repository", shop.repository.path)
    refusal(answer, f"Process {os.getpid()} is publishing to {shop.repository.path}", "Wait until")
