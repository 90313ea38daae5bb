"""Progress without a terminal: a line every few seconds, also while nothing is reported."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest

from repoint.cli import progress


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error that is no terminal; a line comes every hundredth of a second."""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setattr(progress, "_SECONDS", 0.01)
    return stream


def is_printed(errors: io.StringIO, text: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if text in errors.getvalue():
            return True
        time.sleep(0.01)
    return False


def test_the_last_report_is_repeated(errors: io.StringIO) -> None:
    with progress.progress_bar({"app": "diff app"}) as report:
        assert is_printed(errors, "Working: reading, 0 s\n")
        report("app", 1_500_000, 3_000_000)
        assert is_printed(errors, "Working: diff app: 1.50 MB of 3.00 MB, 0 s\n")
        report("other\x1b[2J", 5, 0)
        assert is_printed(errors, "5 B, 0 s\n")
    assert "\x1b" not in errors.getvalue()


def test_nothing_is_printed_after_the_work_or_for_short_work(errors: io.StringIO) -> None:
    with progress.progress_lines({}):
        assert is_printed(errors, "reading")
    after = errors.getvalue()
    time.sleep(0.05)
    assert errors.getvalue() == after


def test_a_short_command_prints_nothing(
    errors: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECONDS", 60.0)
    with progress.progress_lines({}):
        pass
    assert errors.getvalue() == ""


def test_a_stream_that_is_closed_stops_nothing(
    errors: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*values: object, file: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(progress, "print", closed)
    with progress.progress_lines({}):
        time.sleep(0.05)


def test_an_interruption_ends_the_lines(errors: io.StringIO) -> None:
    with pytest.raises(KeyboardInterrupt), progress.progress_lines({}):
        raise KeyboardInterrupt
    after = errors.getvalue()
    time.sleep(0.05)
    assert errors.getvalue() == after
