from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from repoint.delta.container import read_header
from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.sandbox import child
from repoint.delta.sandbox.child import DecodeJob, decode_in_child
from repoint.delta.writer import write_patch
from tests.delta.conftest import Pairs


@pytest.fixture
def patch(tmp_path: Path, pairs: Pairs) -> Path:
    write_patch(tmp_path / "the.patch", pairs.inputs)
    return tmp_path / "the.patch"


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Run other code instead of the decoder."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    monkeypatch.setattr(child, "python_command", lambda _module: command)


def test_every_file_is_decoded(patch: Path, pairs: Pairs, out_dir: Path) -> None:
    progress: list[tuple[int, int]] = []
    confinement = decode_in_child(
        patch, pairs.jobs, out_dir, progress=lambda *now: progress.append(now)
    )
    decoded = [(out_dir / str(i)).read_bytes() for i in range(len(pairs.jobs))]
    assert decoded == pairs.contents
    assert names(out_dir) == {str(i) for i in range(len(pairs.jobs))}
    assert (out_dir / "0").stat().st_mode & 0o777 == 0o600
    total = sum(len(each) for each in pairs.contents)
    assert (progress[0], progress[-1]) == ((0, total), (total, total))
    assert isinstance(confinement.landlock, int)


def test_some_of_the_files_in_another_order_and_in_batches(
    patch: Path, pairs: Pairs, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_BATCH", 2)
    selected = [4, 0, 2, 0, 1]
    decode_in_child(patch, [pairs.jobs[i] for i in selected], out_dir)
    decoded = [(out_dir / str(i)).read_bytes() for i in range(len(selected))]
    assert decoded == [pairs.contents[i] for i in selected]


def test_relative_paths_and_paths_that_are_not_utf8_work(
    patch: Path, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    patch.rename(folder / "p")
    (folder / "out").mkdir()
    monkeypatch.chdir(folder)
    decode_in_child(Path("p"), pairs.jobs[:1], Path("out"))
    assert (folder / "out/0").read_bytes() == pairs.contents[0]


@pytest.mark.slow
def test_a_patch_damaged_anywhere_is_refused_and_leaves_nothing(
    patch: Path, pairs: Pairs, out_dir: Path
) -> None:
    whole = patch.read_bytes()
    entries = read_header(patch).entries
    payloads = len(whole) - sum(each.length for each in entries)
    damaged = [whole[:-1], whole[:20], b"", b"RPPATCH1", whole + b"\0", b"MZ" + whole[2:]]
    for at in (3, 9, 30, 60, payloads - 1, payloads + 1, payloads + 16):
        flipped = bytearray(whole)
        flipped[at] ^= 0x11
        damaged.append(bytes(flipped))
    for each in damaged:
        patch.write_bytes(each)
        with pytest.raises(PatchError) as caught:
            decode_in_child(patch, pairs.jobs, out_dir)
        assert len(str(caught.value).splitlines()) == 1
        assert not names(out_dir)


def test_a_damaged_patch_is_refused_even_if_no_file_is_requested(
    patch: Path, out_dir: Path
) -> None:
    decode_in_child(patch, [], out_dir)
    patch.write_bytes(b"nonsense")
    with pytest.raises(PatchError, match="not a Repoint patch"):
        decode_in_child(patch, [], out_dir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 7}, "another file"),
        ({"size": 10_000_000}, "another file"),
        ({"sha256": "0" * 64}, "another file"),
        ({"name": "lib/nowhere.so"}, "does not have the file lib/nowhere.so"),
        ({"source": None}, "needs the old file old-lib/libchanged.so"),
    ],
)
def test_a_job_that_does_not_match_the_patch_is_refused(
    patch: Path, pairs: Pairs, out_dir: Path, change: dict[str, object], message: str
) -> None:
    jobs = [pairs.jobs[1], msgspec.structs.replace(pairs.jobs[0], **change)]
    with pytest.raises(PatchError, match=message):
        decode_in_child(patch, jobs, out_dir)
    assert not names(out_dir)


def test_an_old_file_that_differs_from_the_baseline_is_noticed(
    patch: Path, pairs: Pairs, out_dir: Path
) -> None:
    source = pairs.jobs[1].source
    assert source is not None
    source.write_bytes(source.read_bytes()[::-1])
    with pytest.raises(PatchError, match=r"librenamed-2.so: decoding does not give"):
        decode_in_child(patch, pairs.jobs, out_dir)
    assert not names(out_dir)


def test_a_missing_patch_or_source_is_named(
    patch: Path, pairs: Pairs, out_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(DeltaChildError, match=r"nowhere\.patch"):
        decode_in_child(tmp_path / "nowhere.patch", pairs.jobs, out_dir)
    source = pairs.jobs[0].source
    assert source is not None
    source.unlink()
    with pytest.raises(DeltaChildError, match=f"No such file.*{source}"):
        decode_in_child(patch, pairs.jobs, out_dir)
    assert not names(out_dir)


def test_a_folder_that_is_missing_or_not_empty_is_refused_and_left_alone(
    patch: Path, pairs: Pairs, out_dir: Path
) -> None:
    (out_dir / "0").write_bytes(b"mine")
    with pytest.raises(DeltaChildError, match="not empty"):
        decode_in_child(patch, pairs.jobs, out_dir)
    assert (out_dir / "0").read_bytes() == b"mine"
    with pytest.raises(DeltaChildError, match="cannot use the folder"):
        decode_in_child(patch, pairs.jobs, out_dir / "nowhere")


def test_more_output_than_the_disk_holds_is_refused_before_decoding(
    patch: Path, pairs: Pairs, out_dir: Path
) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", out_dir], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount")
    try:
        jobs = [pairs.jobs[0], DecodeJob("big", None, 10_000_000, "0" * 64)]
        with pytest.raises(DeltaChildError, match="No space left on device"):
            decode_in_child(patch, jobs, out_dir)
        assert not names(out_dir)
    finally:
        subprocess.run(["umount", out_dir], check=True)


def test_a_size_that_no_disk_holds_is_refused(patch: Path, out_dir: Path) -> None:
    job = DecodeJob("lib/libchanged.so", None, 1 << 60, "0" * 64)
    with pytest.raises(DeltaChildError):
        decode_in_child(patch, [job], out_dir)
    assert not names(out_dir)


def test_decoding_that_takes_too_long_is_stopped(
    patch: Path, pairs: Pairs, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, "import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(DeltaChildError, match="longer than allowed"):
        decode_in_child(patch, pairs.jobs, out_dir, seconds=0.2)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crashed .SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "memory ran out"),
        ("import os; os.kill(os.getpid(), 4)", "processor lacks .* install a NumPy"),
        ("raise SystemExit(3)", "status 3"),
        ("print('hello')", "unintelligible"),
        ("print('x' * 10_000_000)", "unintelligible"),
        ("""print('{"error": "one\\\\ntwo\\\\u001b[31m"}')""", r"one\\ntwo\\x1b\[31m"),
    ],
)
def test_any_failure_of_the_process_becomes_one_error(
    patch: Path,
    pairs: Pairs,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
) -> None:
    instead(monkeypatch, code)
    with pytest.raises(DeltaChildError, match=message) as caught:
        decode_in_child(patch, pairs.jobs, out_dir)
    assert len(str(caught.value).splitlines()) == 1
    assert not names(out_dir)


@pytest.mark.parametrize("action", ["", "open(out + '/0', 'w')", "os.symlink('/etc', out + '/0')"])
def test_a_process_that_claims_success_without_the_files_is_not_believed(
    patch: Path, pairs: Pairs, out_dir: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    instead(
        monkeypatch,
        f"""
        import os
        out = {str(out_dir)!r}
        {action}
        print('{{"confinement": {{"landlock": 7, "seccomp": true, "unprivileged": true}}}}')
        """,
    )
    with pytest.raises(PatchError):
        decode_in_child(patch, pairs.jobs[:1], out_dir)
    assert not names(out_dir)


def test_an_interruption_kills_the_process_and_leaves_nothing(
    patch: Path, pairs: Pairs, out_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(
        monkeypatch,
        f"""
        import os, time
        open({str(out_dir / "0")!r}, "w")
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        print('{{"done": 1}}', flush=True)
        time.sleep(60)
        """,
    )

    def interrupt(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_in_child(patch, pairs.jobs, out_dir, progress=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not names(out_dir)


def test_the_process_gets_nothing_of_the_environment(
    patch: Path, pairs: Pairs, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOINT_PASSPHRASE", "secret")
    instead(monkeypatch, """import os; print('{"error": "%s"}' % sorted(os.environ))""")
    with pytest.raises(DeltaChildError) as caught:
        decode_in_child(patch, pairs.jobs, out_dir)
    assert "OPENBLAS_NUM_THREADS" in str(caught.value)
    assert "REPOINT_PASSPHRASE" not in str(caught.value)
