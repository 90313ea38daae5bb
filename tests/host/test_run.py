"""Running a program: every outcome is data."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from repoint.host.run import run


def test_a_program_that_succeeds_has_its_output_and_no_reason() -> None:
    result = run(["sh", "-c", "echo out; echo err >&2"], seconds=10)
    assert (result.status, result.output, result.errors) == (0, "out\n", "err\n")
    assert result.succeeded
    assert result.reason == ""


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo one >&2; echo two >&2; exit 3", "two"), ("exit 3", "status 3"),
     ("kill -TERM $$", "status -15")],
)  # fmt: skip
def test_the_reason_of_a_failure_is_the_last_line_of_its_errors_or_its_status(
    script: str, reason: str
) -> None:
    result = run(["sh", "-c", script], seconds=10)
    assert not result.succeeded
    assert result.reason == reason


def test_a_program_that_does_not_exist_is_a_result() -> None:
    result = run(["no-such-program"], seconds=10)
    assert (result.status, result.failure) == (None, "not found")
    assert result.reason == "there is no no-such-program"


def test_an_argument_that_no_program_can_be_given_is_a_result() -> None:
    result = run(["true", "a\0b"], seconds=10)
    assert (result.status, result.failure) == (None, "not started")
    assert result.reason == "embedded null byte"


def test_a_program_that_may_not_be_started_is_a_result(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    result = run([str(program)], seconds=10)
    assert (result.status, result.failure) == (None, "not started")
    assert result.reason == "Permission denied"


def test_a_program_is_killed_at_the_time_limit() -> None:
    started = time.monotonic()
    result = run(["sleep", "600"], seconds=0.2)
    assert time.monotonic() - started < 60
    assert (result.status, result.failure) == (None, "timed out")
    assert result.reason == "it did not end within 0 seconds"


def test_a_program_never_waits_for_input_of_the_terminal() -> None:
    assert run(["cat"], seconds=10).output == ""
    assert run(["cat"], seconds=10, standard_input="text").output == "text"


def test_output_that_is_no_text_is_replaced_and_can_be_merged_with_errors() -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff'); sys.stdout.flush(); sys.exit('bad')"
    result = run([sys.executable, "-c", code], seconds=30, merge_output=True)
    assert result.output == "\ufffdbad\n"
    assert result.errors == ""
