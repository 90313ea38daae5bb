"""``repoint fleet guard`` as an operator runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.guard.scene import PRODUCT, Scene, confirmed, failed
from tests.world import NAME, Vendor


@pytest.fixture
def scene(tmp_path: Path, vendor: Vendor) -> Iterator[Scene]:
    made = Scene(tmp_path, vendor)
    made.now = int(time.time())
    yield made
    made.state.close()


def command(scene: Scene, *options: str) -> list[str]:
    return [
        sys.executable, "-m", "repoint", "fleet", "guard",
        "--database", scene.state._engine.url.render_as_string(),
        "--repository", str(scene.vendor.repository.path), *options,
    ]  # fmt: skip


def run(scene: Scene, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(scene, *options), capture_output=True, text=True, timeout=60)


def test_one_look_shows_every_test_and_halts_what_goes_wrong(scene: Scene) -> None:
    scene.report(confirmed(300))
    done = run(scene, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "acme-kiosk 26.3.1 (a) for 26.3.1 (25D2128) for linux-x86_64:" in done.stdout
    assert "failed, ring early: 0 of 0, 0.5% tolerated: too early to say" in done.stdout
    assert "failed: 0 of 300, 0.5% tolerated: good so far" in done.stdout
    scene.report(failed(40))
    done = run(scene, "--once")
    assert done.returncode == 0
    assert "failed: 40 of 340, 0.5% tolerated: too many" in done.stdout
    assert scene.halted() == [NAME]


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--webhook", "hook"], 1, "is not the address of a webhook"),
        (["--mail-command", "mail 'x"], 2, "has a quotation mark that is not closed"),
        (["--every", "0"], 2, "0"),
        (["--exploited", "no"], 2, "'no'"),
        (["--database", "mysql://x/y"], 1, "mysql"),
    ],
)
def test_wrong_usage_is_explained(
    scene: Scene, options: list[str], status: int, message: str
) -> None:
    done = run(scene, "--once", *options)
    assert done.returncode == status
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_second_guard_says_so_and_takes_over_when_the_first_ends(scene: Scene) -> None:
    first = subprocess.Popen(command(scene, "--every", "1"), stdout=subprocess.PIPE, text=True)
    second: subprocess.Popen[str] | None = None
    try:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("Watching")
        done = run(scene, "--once")
        assert done.returncode == 1
        assert (
            f"Another guard watches {scene.vendor.repository.path}: process {first.pid}"
            in done.stderr
        )
        second = subprocess.Popen(command(scene, "--every", "1"), stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert "This one waits until it ends" in second.stdout.readline()
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        assert second.stdout.readline().startswith("Watching")
        scene.report(failed(40))
        assert f"Halted {PRODUCT} 26.3.1 (a)" in second.stdout.readline()
        assert scene.halted() == [NAME]
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait(10)
                if process.stdout is not None:
                    process.stdout.close()
