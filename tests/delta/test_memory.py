"""The memory of codecs, bounded by the kernel's own limit.

For compiled code, the files are libraries of NumPy: large, real, and with nothing in common, which costs the encoder
most. Smaller ones would be encoded faster, but the interpreter's own memory would hide the engine's.
"""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import hdiffpatch
import pytest

from repoint.delta.zstd import compress_against

MIB = 1 << 20

_CHILD = """
import resource, sys
from pathlib import Path
way, name, old, new, patch, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))
from repoint.delta.codecs import CODECS
from repoint.delta.mapped import mapped, mapped_fd
codec = CODECS.named(name)
codec.prepare()
if way == "encode":
    with mapped(Path(old)) as before, mapped(Path(new)) as after:
        Path(patch).write_bytes(codec.encode(before, after))
else:
    with open(new, "r+b") as file, mapped(Path(old)) as before, mapped(Path(patch)) as payload:
        with mapped_fd(file.fileno(), writable=True) as after:
            codec.decode(before, payload, after)
"""


def _run(way: str, old: Path, new: Path, patch: Path, limit: int, codec: str = "elf") -> str:
    """Return the child's error if it may have `limit` bytes of private memory, or ""."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, way, codec, str(old), str(new), str(patch), str(limit)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def _libraries() -> tuple[Path, Path]:
    found = importlib.util.find_spec("numpy")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    blas = list(package.with_name("numpy.libs").glob("*openblas*"))
    core = list(package.glob("_core/_multiarray_umath*.so"))
    if not blas or not core:
        pytest.skip("this NumPy has no large libraries")
    return blas[0], core[0]


@pytest.mark.slow
def test_the_encoder_takes_twelve_times_the_larger_file_and_the_decoder_a_fixed_amount(
    tmp_path: Path,
) -> None:
    old, new = _libraries()
    sizes = [path.stat().st_size for path in (old, new)]
    patch, again = tmp_path / "patch", tmp_path / "again"
    # The pages of the mapped files are memory as well, but the limit does not count them.
    assert _run("encode", old, new, patch, 12 * max(sizes) - sum(sizes)) == ""
    with again.open("wb") as file:
        file.truncate(sizes[1])
    assert _run("decode", old, again, patch, 128 << 20) == ""
    assert again.read_bytes() == new.read_bytes()
    assert "Memory" in _run("encode", old, new, patch, 4 * max(sizes))


@pytest.mark.one_quick
@pytest.mark.parametrize("codec", ["copy", "full", "zstd", "hdiff"])
def test_a_decoder_takes_no_more_than_both_files_once_more(codec: str, tmp_path: Path) -> None:
    """The confined child allows two times both files and the patch, of which the maps take one."""
    before = random.Random(1).randbytes(24 << 20)
    after = before if codec == "copy" else before[1000:] + bytes(1000)
    old, new, patch = (tmp_path / name for name in ("old", "new", "patch"))
    old.write_bytes(before)
    new.write_bytes(bytes(len(after)))
    if codec == "zstd":
        payload = compress_against(memoryview(before), memoryview(after), 3)
    elif codec == "full":
        payload = compress_against(memoryview(b""), memoryview(after), 3)
    elif codec == "hdiff":
        config = hdiffpatch.Lzma2Config(level=1, window=16, threads=1)
        payload = hdiffpatch.diff(before, after, config, validate=False)
    else:
        payload = b""
    patch.write_bytes(payload)
    limit = len(before) + len(after) + len(payload) + (40 << 20)
    assert _run("decode", old, new, patch, limit, codec) == ""
    assert new.read_bytes() == after


def test_an_encoder_says_that_memory_is_short_whatever_it_may_have(tmp_path: Path) -> None:
    new = tmp_path / "new"
    with new.open("wb") as file:
        file.write(random.Random(1).randbytes(MIB))
        file.truncate(300 * MIB)
    errors = {
        _run("encode", new, new, tmp_path / "patch", limit * MIB, "full")
        for limit in range(300, 1000, 100)
    }
    assert "" in errors, "a gigabyte is enough"
    assert all(not error or error.startswith("MemoryError") for error in errors), errors
