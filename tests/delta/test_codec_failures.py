"""A codec that fails: the next one takes its place, and a patch fails only if none is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.delta import encoding
from repoint.delta.codec_selection import first_pass, second_pass
from repoint.delta.codecs import CODECS
from repoint.delta.codecs.codec import LARGEST
from repoint.delta.encoding import EncodeResult, EncodeTask, encode_all, run_task
from repoint.delta.errors import DeltaChildError
from repoint.delta.mapped import mapped
from repoint.delta.writer import PatchInput
from repoint.delta.zstd import DEFAULT_WINDOW_LOG, zstd
from tests.places import wait_for

SMALL, LARGE = 20_000, 400_000
"""Sizes of files that are encoded in this process and in a worker."""


def inputs(tmp_path: Path, size: int) -> list[PatchInput]:
    old = random.Random(size).randbytes(size)
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "new").write_bytes(old[: size // 2] + b"fixed" + old[size // 2 :])
    return [PatchInput("file", tmp_path / "new", "file", tmp_path / "old")]


def encode(tmp_path: Path, size: int) -> str:
    (tmp_path / "payloads").mkdir()
    (encoded,) = encode_all(inputs(tmp_path, size), tmp_path / "payloads", 2, lambda *_: None)
    assert [path.name for path in (tmp_path / "payloads").iterdir()] == [encoded.payload.name]
    return encoded.codec


def failing(error: BaseException, *names: str) -> Callable[[EncodeTask], EncodeResult]:
    def run(task: EncodeTask) -> EncodeResult:
        if not names or task.codec in names:
            raise error
        return original(task)

    original = encoding._run
    return run


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(28, "No space left on device"), encoding.PatchError("differs")],
    ids=["memory", "disk", "wrong result"],
)
@pytest.mark.parametrize("names", [("hdiff",), ("hdiff", "zstd"), ("hdiff", "zstd", "members")])
def test_a_codec_that_fails_loses_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr(encoding, "_run", failing(error, *names))
    assert encode(tmp_path, SMALL) not in names


def test_the_reason_is_reported_if_every_codec_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_run", failing(MemoryError()))
    with pytest.raises(DeltaChildError, match=r"cannot encode file: .*not enough memory"):
        encode(tmp_path, SMALL)


def test_a_missing_library_is_no_reason_for_larger_patches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = DeltaChildError("encoding needs the package hdiffpatch", hint="Install it")
    monkeypatch.setattr(encoding, "_run", failing(missing, "hdiff"))
    with pytest.raises(DeltaChildError, match="needs the package hdiffpatch"):
        encode(tmp_path, SMALL)


def test_a_worker_that_is_killed_is_replaced_and_its_codec_loses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does when memory runs out."""
    start = encoding._Workers.start
    started = []

    def killing(pool: encoding._Workers) -> object:
        process = start(pool)
        assert process is not None
        started.append(process.pid)
        if len(started) == 1:
            os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr(encoding._Workers, "start", killing)
    assert encode(tmp_path, LARGE) in {codec.name for codec in CODECS}
    assert len(started) >= 2


def test_no_worker_outlives_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = encoding._Workers.start
    started = []

    def killing(pool: encoding._Workers) -> object:
        process = start(pool)
        if process is not None:
            started.append(process)
            process.kill()
        return process

    monkeypatch.setattr(encoding._Workers, "start", killing)
    with pytest.raises(DeltaChildError, match="cannot encode file"):
        encode(tmp_path, LARGE)
    assert all(process.poll() is not None for process in started)


class Huge:
    """The length of a file that no test can hold."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def test_codecs_whose_memory_grows_with_the_files_are_not_tried_on_huge_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("repoint.delta.codec_selection._quick_length", lambda new: 1 << 60)
    monkeypatch.setattr("repoint.delta.codec_selection.same_bytes", lambda one, other: False)
    old, new = Huge(LARGEST), Huge(1 << 20)
    tried = first_pass(CODECS, old, new)  # type: ignore[arg-type]
    more = second_pass(CODECS, old, new, None, tried)  # type: ignore[arg-type]
    assert set(tried + more) == {"full", "zstd"}
    old = Huge(LARGEST - (1 << 20))
    tried = first_pass(CODECS, old, new)  # type: ignore[arg-type]
    more = second_pass(CODECS, old, new, None, tried)  # type: ignore[arg-type]
    assert set(tried + more) == {codec.name for codec in CODECS} - {"copy"}


def test_a_result_that_cannot_be_decoded_is_an_error_of_its_codec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (each,) = inputs(tmp_path, SMALL)
    monkeypatch.setattr(encoding, "same_bytes", lambda one, other: False)
    result = run_task(EncodeTask(0, "full", each.new, each.old, tmp_path / "out"))
    assert "does not give the encoded file" in result.error
    assert not result.fatal
    assert not (tmp_path / "out").exists()


def test_a_frame_of_a_large_sparse_file_costs_little_time_and_a_device_little_memory(
    tmp_path: Path,
) -> None:
    size = 160 << 20
    with (tmp_path / "disk.img").open("wb") as file:
        file.write(random.Random(1).randbytes(10_000))
        file.truncate(size)
    with mapped(tmp_path / "disk.img") as new:
        started = time.process_time()
        frame = CODECS.named("full").encode(memoryview(b""), new)
        seconds = time.process_time() - started
    assert frame is not None
    assert len(frame) < 20_000
    assert seconds < 4  # about 1; looking for distant matches takes 8
    decompressor = zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: DEFAULT_WINDOW_LOG}
    )
    assert len(decompressor.decompress(frame)) == size


@pytest.mark.slow
def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(random.Random(1).randbytes(30_000_000))
    (tmp_path / "payloads").mkdir()
    code = (
        "import sys; from pathlib import Path\n"
        "from repoint.delta.encoding import PatchInput, encode_all\n"
        "folder = Path(sys.argv[1])\n"
        "encode_all([PatchInput('new', folder / 'new')], folder / 'payloads', 1, lambda *_: None)"
    )
    program = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    children = Path(f"/proc/{program.pid}/task")
    wait_for(lambda: bool(_children(children)))
    workers = _children(children)
    program.terminate()
    program.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def _children(tasks: Path) -> list[int]:
    found = [
        int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()
    ]
    # It has begun to work when it has loaded what it needs, and read its task.
    return [pid for pid in found if "/new" in Path(f"/proc/{pid}/maps").read_text()]


class _NotWantedError(Exception):
    pass


def test_what_the_report_of_progress_raises_ends_the_encoding(tmp_path: Path) -> None:
    def report(done: int, total: int) -> None:
        reports.append(done)
        if len(reports) > 1:
            raise _NotWantedError

    (tmp_path / "new").write_bytes(random.Random(1).randbytes(30_000_000))
    (tmp_path / "payloads").mkdir()
    reports: list[int] = []
    with pytest.raises(_NotWantedError):
        encode_all([PatchInput("new", tmp_path / "new")], tmp_path / "payloads", 1, report)
    # It takes half a minute, and nothing was done when the second report came.
    assert reports == [0, 0]
