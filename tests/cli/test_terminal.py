"""What a person at a terminal is asked and shown."""

from __future__ import annotations

import os
import pty
import select
import sys
import threading
import time

from tests.places import MAPS_A_LIBRARY, Place
from tests.world import Vendor


def at_terminal(place: Place, *arguments: str, answer: bytes) -> tuple[int, str]:
    """Run the command at a terminal of its own, and answer its first question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["REPOINT_STORE"] = str(place.folder / "store")
        os.execv(sys.executable, [sys.executable, "-m", "repoint", *arguments])
    said = b""
    answered = False
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break  # the other side has closed it
        if not data:
            break
        said += data
        if b"[y/N]" in said and not answered:
            os.write(terminal, answer)
            answered = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def test_a_restart_asks_before_it_closes_a_program_and_no_means_no(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    status, said = at_terminal(place, "restart", answer=b"n\n")
    assert f"This closes python ({pid})" in said.replace("python3", "python")
    assert "repoint: Stopped, as you said. Nothing was changed" in said
    assert "Traceback" not in said
    assert status == 1
    assert place.device.status(None).staged == "26.3.1 (a)"
    status, said = at_terminal(place, "restart", answer=b"y\n")
    assert status == 0
    assert "26.3.1 (a) is active." in said


def test_progress_is_shown_at_a_terminal(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    status, said = at_terminal(place, "install", "--yes", answer=b"")
    assert status == 0
    assert "verify" in said
    assert "Staged 26.3.1 (a)" in said


def test_before_the_size_of_a_download_is_known_none_is_shown(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.server.stall_after.append(100)
    over = threading.Timer(2, place.server.go_on.set)
    over.start()
    status, said = at_terminal(place, "install", "--yes", answer=b"")
    over.join()
    assert "0/? bytes" in said
    assert "cannot be reached" in said.replace("\r\n", " ")
    assert status == 1
