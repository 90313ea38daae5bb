"""Passcodes, the limit of wrong attempts, and which accounts may change something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repoint.page.auth.attempts import FREE, LONGEST_WAIT, Attempts
from repoint.page.auth.errors import (
    PasscodeUnavailableError,
    TooManyAttemptsError,
    UnsuitablePasscodeError,
    WrongPasscodeError,
)
from repoint.page.auth.passcode_guard import PasscodeGuard
from repoint.page.auth.passcodes import OwnPasscode, may_change
from repoint.page.page_store import PageStore
from tests.page.settings import set_test_passcode

RIGHT = "open sesame"


@dataclass
class Clock:
    now: float = 1_700_000_000

    def __call__(self) -> float:
        return self.now


@dataclass
class Guesser:
    """A guard, and the outcomes of guesses."""

    guard: PasscodeGuard
    clock: Clock
    outcomes: list[str] = field(default_factory=list)

    def guess(self, given: str) -> str:
        try:
            self.guard.require(given)
        except WrongPasscodeError:
            outcome = "wrong"
        except TooManyAttemptsError:
            outcome = "not checked"
        else:
            outcome = "right"
        self.outcomes.append(outcome)
        return outcome


@pytest.fixture
def guesser(tmp_path: Path) -> Guesser:
    set_test_passcode(tmp_path, RIGHT)
    store, clock = PageStore(tmp_path), Clock()
    return Guesser(PasscodeGuard(store, "", OwnPasscode(store), clock), clock)


def test_ten_thousand_guesses_a_second_apart_are_hardly_checked(guesser: Guesser) -> None:
    for number in range(10_000):
        guesser.guess(f"guess {number}")
        guesser.clock.now += 1
    assert guesser.outcomes.count("wrong") <= 13
    assert guesser.outcomes.count("right") == 0
    assert guesser.guess(RIGHT) == "not checked"


def test_ten_thousand_guesses_that_wait_as_required_take_more_than_a_year() -> None:
    now, attempts = 0, Attempts()
    for _ in range(10_000):
        now += attempts.wait(now)
        attempts = attempts.after_wrong(now)
    assert now > 365 * 86400


def test_people_who_mistype_do_not_wait(guesser: Guesser) -> None:
    assert [guesser.guess("oops") for _ in range(FREE - 1)] == ["wrong"] * (FREE - 1)
    assert guesser.guess(RIGHT) == "right"
    assert guesser.guard.wait() == 0


def test_each_further_wrong_one_doubles_the_wait_up_to_an_hour() -> None:
    waits = []
    attempts = Attempts()
    for _ in range(16):
        attempts = attempts.after_wrong(100)
        waits.append(attempts.wait(100))
    assert waits[:6] == [0, 0, 10, 20, 40, 80]
    assert waits[-1] == LONGEST_WAIT


def test_the_count_survives_the_server_and_is_reset_by_the_right_passcode(guesser: Guesser) -> None:
    for _ in range(FREE):
        guesser.guess("wrong")
    restarted = Guesser(
        PasscodeGuard(guesser.guard.store, "", guesser.guard.passcode, guesser.clock), guesser.clock
    )
    assert restarted.guess(RIGHT) == "not checked"
    guesser.clock.now += 11
    assert restarted.guess(RIGHT) == "right"
    assert restarted.guess("wrong") == "wrong"


@pytest.mark.parametrize("jump", [-400_000, -1, 400_000])
def test_a_clock_that_jumps_neither_unlocks_nor_locks_forever(guesser: Guesser, jump: int) -> None:
    for _ in range(FREE):
        guesser.guess("wrong")
    guesser.clock.now += jump
    if jump < 0:
        assert guesser.guess(RIGHT) == "not checked"
        assert guesser.guard.wait() <= 10
        guesser.clock.now += 10
    assert guesser.guess(RIGHT) == "right"


def test_a_guess_counts_even_if_the_server_is_killed_during_the_check(guesser: Guesser) -> None:
    class KilledError(Exception):
        pass

    class Slow:
        kind = "own"

        def is_set(self) -> bool:
            return True

        def verify(self, given: str) -> bool:
            raise KilledError

    slow = PasscodeGuard(guesser.guard.store, "", Slow(), guesser.clock)  # type: ignore[arg-type]
    for _ in range(FREE):
        with pytest.raises(KilledError):
            slow.require("guess")
    assert guesser.guess(RIGHT) == "not checked"


class Checked:
    """A passcode, and what happens while it is checked."""

    kind = "own"

    def __init__(self, during: Callable[[], object]) -> None:
        self.during = during
        self.checked = 0

    def is_set(self) -> bool:
        return True

    def verify(self, given: str) -> bool:
        self.checked += 1
        self.during()
        return given == RIGHT


def test_guesses_that_are_checked_at_once_are_all_counted(tmp_path: Path) -> None:
    arrived, outcomes = threading.Event(), []

    def guess() -> None:
        outcomes.append(Guesser(guard, guard.clock).guess("guess"))  # type: ignore[arg-type]
        if len(outcomes) == 10 - FREE:
            arrived.set()

    passcode = Checked(lambda: arrived.wait(60))
    guard = PasscodeGuard(PageStore(tmp_path), "", passcode, Clock())  # type: ignore[arg-type]
    threads = [threading.Thread(target=guess) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passcode.checked == FREE
    assert sorted(outcomes) == ["not checked"] * (10 - FREE) + ["wrong"] * FREE


def test_a_check_that_the_system_could_not_make_takes_back_only_itself(guesser: Guesser) -> None:
    def fail_after_another() -> None:
        assert guesser.guess("wrong") == "wrong"
        raise PasscodeUnavailableError("away", hint="")

    passcode = Checked(fail_after_another)
    guard = PasscodeGuard(guesser.guard.store, "", passcode, guesser.clock)  # type: ignore[arg-type]
    with pytest.raises(PasscodeUnavailableError):
        guard.require("guess")
    assert [guesser.guess("wrong") for _ in range(FREE)] == ["wrong"] * (FREE - 1) + ["not checked"]


@pytest.mark.parametrize(
    ("new", "repeated", "why"),
    [("12345", "12345", "short"), ("x" * 201, "x" * 201, "long"), (RIGHT, RIGHT + "!", "differs")],
)
def test_an_unsuitable_new_passcode_is_not_set(
    tmp_path: Path, new: str, repeated: str, why: str
) -> None:
    passcode = OwnPasscode(PageStore(tmp_path))
    with pytest.raises(UnsuitablePasscodeError) as refused:
        passcode.set(new, repeated)
    assert refused.value.reason == why
    assert not passcode.is_set()


def test_only_a_hash_is_stored_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    passcode = OwnPasscode(PageStore(tmp_path))
    passcode.set(RIGHT, RIGHT)
    assert passcode.verify(RIGHT)
    assert not passcode.verify("wrong")
    folder = passcode.store.folder
    kept = (folder / "passcode.json").read_text()
    assert RIGHT not in kept
    assert "$argon2id$" in kept
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "passcode.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damaged", ["", "{}", '{"argon2": "x"}', "\0\0"])
def test_a_damaged_passcode_unlocks_nothing_and_cannot_be_replaced(
    guesser: Guesser, damaged: str
) -> None:
    (guesser.guard.store.folder / "passcode.json").write_text(damaged)
    assert guesser.guard.passcode.is_set()
    assert guesser.guess(RIGHT) == "wrong"


def test_the_account_of_the_server_may_change_and_others_may_not() -> None:
    assert may_change(1000, server=1000)
    assert may_change(0, server=1000)
    assert not may_change(1001, server=1000)
    assert not may_change(4_000_000, server=0)


# These tests use the real PAM, with accounts that exist only in a mount namespace.
_root_only = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None or not Path("/etc/pam.d/login").exists(),
    reason="only root can make accounts for a test, and only where PAM is",
)


@pytest.fixture
def with_accounts(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs Python with accounts ann (an administrator) and bob, whose password is `RIGHT`."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", RIGHT], capture_output=True, text=True, check=True
    ).stdout.strip()
    lines = {
        "passwd": "root:x:0:0::/root:/bin/sh\nann:x:7001:7001::/:/bin/sh\nbob:x:7002:7002::/:/bin/sh\n",
        "shadow": f"root:*:19000:0:99999:7:::\nann:{hashed}:19000:0:99999:7:::\n"
        f"bob:{hashed}:19000:0:99999:7:::\n",
        "group": "root:x:0:\nsudo:x:27:ann\nann:x:7001:\nbob:x:7002:\n",
    }
    mounts = []
    for name, content in lines.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o640 if name == "shadow" else 0o644)
        mounts.append(f"mount --bind {tmp_path / name} /etc/{name}")
    # What `login` requires, without the seconds that it waits after a wrong password.
    pam = tmp_path / "pam"
    pam.write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
    mounts.append(f"mount --bind {pam} /etc/pam.d/login")

    def run(code: str) -> subprocess.CompletedProcess[str]:
        script = " && ".join([*mounts, 'exec "$0" -c "$1"'])
        command = ["unshare", "--mount", "sh", "-c", script, sys.executable, code]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


@_root_only
def test_root_checks_the_password_of_the_account_through_pam(
    with_accounts: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    done = with_accounts(
        "from pathlib import Path\n"
        "from repoint.page.auth.passcodes import AccountPasscode, passcode_for, may_change\n"
        "from repoint.page.page_store import PageStore\n"
        "ann = passcode_for(PageStore(Path('/none')), 7001, server=0)\n"
        "assert isinstance(ann, AccountPasscode)\n"
        f"print(ann.verify({RIGHT!r}), ann.verify('wrong'),\n"
        f"      ann.verify({RIGHT!r} + chr(0) + 'x'))\n"
        "print(may_change(7001, server=0), may_change(7002, server=0))\n"
        "print(passcode_for(PageStore(Path('/none')), 0, server=0).kind)\n"
    )
    if "cannot" in done.stderr and "mount" in done.stderr:
        pytest.skip("this container allows no mounts")
    assert done.stdout.split("\n")[:3] == ["True False False", "True False", "own"], done.stderr
