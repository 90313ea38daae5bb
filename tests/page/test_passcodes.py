"""Who may change something: passcodes, how the wrong ones are counted, and the accounts' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repoint.page.auth.attempts import FREE, LONGEST_WAIT, Attempts
from repoint.page.auth.errors import (
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
class Asked:
    """A guard of a passcode that was set, and what it did with guesses."""

    guard: PasscodeGuard
    clock: Clock
    outcomes: list[str] = field(default_factory=list)

    def guess(self, given: str) -> str:
        try:
            self.guard.require(given)
        except WrongPasscodeError:
            said = "wrong"
        except TooManyAttemptsError:
            said = "not looked at"
        else:
            said = "right"
        self.outcomes.append(said)
        return said


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    set_test_passcode(tmp_path, RIGHT)
    store, clock = PageStore(tmp_path), Clock()
    return Asked(PasscodeGuard(store, "", OwnPasscode(store), clock), clock)


def test_ten_thousand_guesses_a_second_apart_are_hardly_looked_at(asked: Asked) -> None:
    for number in range(10_000):
        asked.guess(f"guess {number}")
        asked.clock.now += 1
    assert asked.outcomes.count("wrong") <= 13
    assert asked.outcomes.count("right") == 0
    assert asked.guess(RIGHT) == "not looked at"


def test_ten_thousand_guesses_that_wait_as_told_take_more_than_a_year() -> None:
    now, attempts = 0, Attempts()
    for _ in range(10_000):
        now += attempts.wait(now)
        attempts = attempts.after_wrong(now)
    assert now > 365 * 86400


def test_people_who_mistype_do_not_wait(asked: Asked) -> None:
    assert [asked.guess("oops") for _ in range(FREE - 1)] == ["wrong"] * (FREE - 1)
    assert asked.guess(RIGHT) == "right"
    assert asked.guard.wait() == 0


def test_each_further_wrong_one_doubles_the_wait_up_to_an_hour() -> None:
    waits = []
    attempts = Attempts()
    for _ in range(16):
        attempts = attempts.after_wrong(100)
        waits.append(attempts.wait(100))
    assert waits[:6] == [0, 0, 10, 20, 40, 80]
    assert waits[-1] == LONGEST_WAIT


def test_the_count_outlives_the_server_and_ends_with_the_right_one(asked: Asked) -> None:
    for _ in range(FREE):
        asked.guess("wrong")
    again = Asked(
        PasscodeGuard(asked.guard.store, "", asked.guard.passcode, asked.clock), asked.clock
    )
    assert again.guess(RIGHT) == "not looked at"
    asked.clock.now += 11
    assert again.guess(RIGHT) == "right"
    assert again.guess("wrong") == "wrong"


@pytest.mark.parametrize("jump", [-400_000, -1, 400_000])
def test_a_clock_that_jumps_neither_opens_nor_locks_for_good(asked: Asked, jump: int) -> None:
    for _ in range(FREE):
        asked.guess("wrong")
    asked.clock.now += jump
    if jump < 0:
        assert asked.guess(RIGHT) == "not looked at"
        assert asked.guard.wait() <= 10
        asked.clock.now += 10
    assert asked.guess(RIGHT) == "right"


def test_a_guess_counts_though_the_server_is_killed_while_it_looks(asked: Asked) -> None:
    class KilledError(Exception):
        pass

    class Slow:
        kind = "own"

        def is_set(self) -> bool:
            return True

        def verify(self, given: str) -> bool:
            raise KilledError

    slow = PasscodeGuard(asked.guard.store, "", Slow(), asked.clock)  # type: ignore[arg-type]
    for _ in range(FREE):
        with pytest.raises(KilledError):
            slow.require("guess")
    assert asked.guess(RIGHT) == "not looked at"


@pytest.mark.parametrize(
    ("new", "repeated", "why"),
    [("12345", "12345", "short"), ("x" * 201, "x" * 201, "long"), (RIGHT, RIGHT + "!", "differs")],
)
def test_a_new_passcode_that_does_not_fit_is_not_set(
    tmp_path: Path, new: str, repeated: str, why: str
) -> None:
    passcode = OwnPasscode(PageStore(tmp_path))
    with pytest.raises(UnsuitablePasscodeError) as refused:
        passcode.set(new, repeated)
    assert refused.value.reason == why
    assert not passcode.is_set()


def test_only_a_hash_is_kept_for_its_owners_eyes(tmp_path: Path) -> None:
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
def test_a_damaged_passcode_opens_nothing_and_is_not_chosen_anew(
    asked: Asked, damaged: str
) -> None:
    (asked.guard.store.folder / "passcode.json").write_text(damaged)
    assert asked.guard.passcode.is_set()
    assert asked.guess(RIGHT) == "wrong"


def test_the_account_of_the_server_may_change_and_others_may_not() -> None:
    assert may_change(1000, server=1000)
    assert may_change(0, server=1000)
    assert not may_change(1001, server=1000)
    assert not may_change(4_000_000, server=0)


# What follows asks the real PAM for accounts that exist only in a mount namespace of the test's.
_root_only = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None or not Path("/etc/pam.d/login").exists(),
    reason="only root can make accounts for a test, and only where PAM is",
)


@pytest.fixture
def with_accounts(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs Python where the accounts ann (an administrator) and bob have the password `RIGHT`."""
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
def test_root_asks_for_the_accounts_own_password_through_pam(
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
