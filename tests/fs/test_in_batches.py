"""Work on many files at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from repoint.fs.folders import in_batches


@pytest.mark.parametrize("number", [0, 1, 3999, 4000, 4001, 12_345])
def test_each_file_is_worked_on_once(number: int) -> None:
    done: list[int] = []
    in_batches(range(number), done.extend)
    assert sorted(done) == list(range(number))


def test_few_files_are_worked_on_in_order_by_the_caller() -> None:
    threads = set()

    def work(batch: Sequence[int]) -> None:
        threads.add(threading.current_thread())
        assert batch == range(100)

    in_batches(range(100), work)
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("number", [100, 100_000])
def test_an_error_ends_the_work(number: int) -> None:
    threads = threading.active_count()

    def work(batch: Sequence[int]) -> None:
        if batch[0] == 0:
            raise OSError(28, "No space left on device", "f0")

    with pytest.raises(OSError, match="No space left") as failed:
        in_batches(range(number), work)
    assert failed.value.filename == "f0"
    assert threading.active_count() == threads, "nothing goes on in the background"
