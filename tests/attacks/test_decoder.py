"""The child that decodes patches, on kernels that can confine it and on those that cannot."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.delta.sandbox.confinement import Confinement
from repoint.device.update.prepare import missing_protections
from tests.cli.command import repoint
from tests.places import Place

WITHOUT = """
import os, sys
{how}
os.execv(sys.executable, [sys.executable, "-m", "repoint", *sys.argv[1:]])
"""

# Classic BPF: load the number of the call; let it fail with ENOSYS where it is one of these.
NO_CALLS = """
import ctypes, struct
def step(op, value, then=0, otherwise=0):
    return struct.pack("<HBBI", op, then, otherwise, value)
code = step(0x20, 0)
for number in {numbers}:
    code += step(0x15, number, 0, 1) + step(0x06, 0x00050000 | 38)
code += step(0x06, 0x7fff0000)
class Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code))) == 0
"""
LANDLOCK = (444, 445, 446)
SECCOMP = {"x86_64": 317, "aarch64": 277}


def as_if_without(tmp_path: Path, place: Place, *numbers: int) -> tuple[int, str, str]:
    """Install on a kernel that answers some calls as one that has never heard of them."""
    script = tmp_path / "without.py"
    script.write_text(WITHOUT.format(how=NO_CALLS.format(numbers=list(numbers))))
    done = subprocess.run(
        [sys.executable, str(script), "install", "--store", str(place.folder / "store")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def seccomp() -> int:
    number = SECCOMP.get(platform.machine())
    if number is None:
        pytest.skip("the numbers of the calls are not known here")
    return number


def test_a_kernel_without_landlock_is_reported_and_the_improvement_is_installed(
    place: Place, tmp_path: Path, seccomp: int
) -> None:
    place.enroll()
    status, out, err = as_if_without(tmp_path, place, *LANDLOCK)
    assert status == 0, err
    assert "This kernel has no Landlock: the patch was decoded with less protection." in out
    assert place.device.status(None).staged == "26.3.1 (a)"


@pytest.mark.slow
def test_a_kernel_without_landlock_and_seccomp_is_reported(
    place: Place, tmp_path: Path, seccomp: int
) -> None:
    place.enroll()
    status, out, err = as_if_without(tmp_path, place, *LANDLOCK, seccomp)
    assert status == 0, err
    assert "This kernel has no Landlock and no seccomp: the patch was decoded" in out
    place.device.restart(None)
    assert place.text() == "VERSION = 'new'\n"


def test_a_kernel_with_all_protections_is_not_reported(place: Place) -> None:
    place.enroll()
    answer = repoint("install", "--json", "--store", place.folder / "store")
    assert answer.status == 0
    # Landlock may be missing on the machine that runs the tests; then that is what is said.
    assert set(json.loads(answer.out)["unguarded"]) <= {"Landlock"}


def test_what_is_missing_is_named() -> None:
    assert missing_protections(Confinement(4, seccomp=True, unprivileged=True)) == ()
    assert missing_protections(Confinement(0, seccomp=False, unprivileged=False)) == (
        "Landlock", "seccomp", "dropping of capabilities",
    )  # fmt: skip
