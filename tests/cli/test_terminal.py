"""Questions and progress at a terminal."""

from __future__ import annotations

import os
import pty
import select
import sys
import time

import pytest

from tests.places import MAPS_A_LIBRARY, Place
from tests.world import Vendor

_TIMEOUT = 120.0
"""Seconds until a command that does not end fails the test."""


class Terminal:
    """A command that runs at a terminal of its own."""

    def __init__(self, place: Place, *arguments: str) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.environ["REPOINT_STORE"] = str(place.folder / "store")
            os.execv(sys.executable, [sys.executable, "-m", "repoint", *arguments])
        self._output = b""
        self._deadline = time.monotonic() + _TIMEOUT

    def read_until(self, text: str, times: int = 1) -> None:
        """Read until a text has been shown so many times."""
        while self._output.count(text.encode()) < times:
            assert self._read(), self._output.decode()

    def answer(self, text: str) -> None:
        """Type an answer."""
        os.write(self._terminal, text.encode())

    def finish(self) -> tuple[int, str]:
        """Read to the end; return the exit status and everything that was shown."""
        while self._read():
            pass
        os.close(self._terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return status, self._output.decode()

    def _read(self) -> bool:
        left = max(0.0, self._deadline - time.monotonic())
        assert select.select([self._terminal], [], [], left)[0], self._output.decode()
        try:
            data = os.read(self._terminal, 4096)
        except OSError:
            return False  # the command has ended
        self._output += data
        return bool(data)


@pytest.mark.slow
def test_a_restart_asks_before_it_closes_a_program_and_no_means_no(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    terminal = Terminal(place, "restart")
    terminal.read_until("[y/N]")
    terminal.answer("n\n")
    status, output = terminal.finish()
    assert f"This closes python ({pid})" in output.replace("python3", "python")
    assert "repoint: Stopped at your request. Nothing was changed" in output
    assert "Traceback" not in output
    assert status == 1
    assert place.device.status(None).staged == "26.3.1 (a)"
    terminal = Terminal(place, "restart")
    terminal.read_until("[y/N]")
    terminal.answer("y\n")
    status, output = terminal.finish()
    assert status == 0
    assert "26.3.1 (a) is active." in output


def test_a_wrong_answer_is_asked_again_and_ctrl_c_ends_the_line(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    terminal = Terminal(place, "install")
    terminal.read_until("[Y/n]: ")
    terminal.answer("maybe\n")
    terminal.read_until("[Y/n]: ", times=2)
    terminal.answer("\x03")
    status, output = terminal.finish()
    assert output.endswith("\r\nrepoint: Stopped at your request. Nothing was changed\r\n")
    assert "Answer y or n.\r\n" in output
    assert status == 1


def test_progress_is_shown_at_a_terminal(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    status, output = Terminal(place, "install", "--yes").finish()
    assert status == 0
    assert "verify" in output
    assert "Staged 26.3.1 (a)" in output


def test_no_size_is_shown_before_the_size_of_a_download_is_known(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.server.stall_after.append(100)
    terminal = Terminal(place, "install", "--yes")
    terminal.read_until("0/? bytes")
    place.server.go_on.set()
    status, output = terminal.finish()
    assert "cannot be reached" in output.replace("\r\n", " ")
    assert status == 1
