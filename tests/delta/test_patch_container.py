from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoint.delta import container, encoding
from repoint.delta.codecs import CODECS
from repoint.delta.container import Header, PatchEntry, offsets, parse_patch, read_header
from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.writer import PatchInput, write_patch
from repoint.delta.zstd import compress
from tests.delta.conftest import Pairs

DIGEST = hashlib.sha256(b"").hexdigest()


def entry(
    name: object = "a", size: int = 0, codec: str = "copy", length: int = 0, sha256: str = DIGEST
) -> dict[str, object]:
    return {
        "name": name,
        "source": "",
        "size": size,
        "sha256": sha256,
        "codec": codec,
        "length": length,
    }


def forged(header: object, payloads: bytes = b"", *, unpacked: int | None = None) -> bytes:
    """Return a patch with a valid frame around any header."""
    packed = header if isinstance(header, bytes) else msgspec.msgpack.encode(header)
    raw = compress(packed)
    size = len(packed) if unpacked is None else unpacked
    digest = hashlib.sha256(raw).digest()
    return struct.pack("<8sII32s", b"RPPATCH1", len(raw), size, digest) + raw + payloads


def decode_all(patch: bytes, olds: dict[str, bytes]) -> list[bytes]:
    """Do what the decoding process does, in this process."""
    header, start = parse_patch(memoryview(patch))
    decoded = []
    for each, offset in offsets(header, start):
        new = bytearray(each.size)
        payload = memoryview(patch)[offset : offset + each.length]
        CODECS.named(each.codec).decode(memoryview(olds[each.name]), payload, memoryview(new))
        if hashlib.sha256(new).hexdigest() != each.sha256:
            raise PatchError("wrong digest")
        decoded.append(bytes(new))
    return decoded


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes], list[bytes]]:
    """Return a patch with several codecs, its old files and its new files."""
    folder = tmp_path_factory.mktemp("sample")
    old = bytes(range(256)) * 8 + b"".join(hashlib.sha512(bytes([i])).digest() for i in range(40))
    new = bytearray(old)
    for at in range(0, len(new), 97):
        new[at] ^= 0x40
    contents = {
        "hdiff": (old, bytes(new)),
        "text": (old, old[:900] + b"inserted" + old[900:]),
        "full": (b"", b"words and words and words"),
        "copy": (old, old),
    }
    inputs = []
    for name, (before, after) in contents.items():
        (folder / f"{name}.old").write_bytes(before)
        (folder / f"{name}.new").write_bytes(after)
        inputs.append(
            PatchInput(name, folder / f"{name}.new", f"{name}.old", folder / f"{name}.old")
        )
    entries = write_patch(folder / "patch", inputs, b"annex")
    assert {each.codec for each in entries} >= {"copy", "zstd", "hdiff"}
    olds = {name: before for name, (before, _) in contents.items()}
    news = [after for _, after in contents.values()]
    return (folder / "patch").read_bytes(), olds, news


def test_a_patch_returns_its_header_and_files(tmp_path: Path, pairs: Pairs) -> None:
    entries = write_patch(tmp_path / "patch", pairs.inputs, b"\0annex\xff")
    header = read_header(tmp_path / "patch")
    assert header == Header(b"\0annex\xff", entries)
    assert [each.name for each in entries] == [each.name for each in pairs.inputs]
    assert [each.size for each in entries] == [len(each) for each in pairs.contents]
    olds = {each.name: each.old.read_bytes() if each.old else b"" for each in pairs.inputs}
    assert decode_all((tmp_path / "patch").read_bytes(), olds) == pairs.contents


def test_a_patch_may_have_no_files(tmp_path: Path) -> None:
    assert write_patch(tmp_path / "patch", []) == ()
    assert read_header(tmp_path / "patch") == Header(b"", ())


@pytest.mark.slow
@settings(max_examples=25)
@given(
    annex=st.binary(max_size=300),
    files=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        st.tuples(st.binary(max_size=200), st.none() | st.binary(max_size=200)),
        max_size=4,
    ),
)
def test_any_names_contents_and_annex_survive(
    tmp_path_factory: pytest.TempPathFactory,
    annex: bytes,
    files: dict[str, tuple[bytes, bytes | None]],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    inputs = []
    for i, (name, (new, old)) in enumerate(files.items()):
        (folder / f"{i}.new").write_bytes(new)
        if old is not None:
            (folder / f"{i}.old").write_bytes(old)
        source = None if old is None else folder / f"{i}.old"
        inputs.append(PatchInput(name, folder / f"{i}.new", "old" if source else "", source))
    write_patch(folder / "patch", inputs, annex)
    olds = {name: old or b"" for name, (_, old) in files.items()}
    patch = (folder / "patch").read_bytes()
    assert read_header(folder / "patch").annex == annex
    assert decode_all(patch, olds) == [new for new, _ in files.values()]


def test_the_bytes_do_not_depend_on_the_number_of_workers(
    tmp_path: Path, pairs: Pairs, make_binary: Callable[..., bytes]
) -> None:
    big = make_binary(9, 300_000)
    pairs.add("big.so", big[:1000] + b"grown" + big[1000:], big)
    pairs.add("big.new", big[5000:])
    for workers in (1, 2):
        write_patch(tmp_path / f"patch{workers}", pairs.inputs, b"annex", workers=workers)
    assert (tmp_path / "patch1").read_bytes() == (tmp_path / "patch2").read_bytes()


def test_progress_goes_up_to_the_total(tmp_path: Path, pairs: Pairs) -> None:
    progress: list[tuple[int, int]] = []
    write_patch(tmp_path / "patch", pairs.inputs, progress=lambda *now: progress.append(now))
    total = sum(len(each) for each in pairs.contents)
    assert progress[0] == (0, total)
    assert progress[-1] == (total, total)
    assert progress == sorted(progress)


def test_an_interruption_leaves_nothing_behind_and_the_old_patch_in_place(
    tmp_path: Path, pairs: Pairs, make_binary: Callable[..., bytes]
) -> None:
    pairs.add("big", make_binary(5, 600_000))
    out = tmp_path / "out"
    out.mkdir()
    (out / "patch").write_bytes(b"the old one")

    def interrupt(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_patch(out / "patch", pairs.inputs, progress=interrupt)
    assert {each.name: each.read_bytes() for each in out.iterdir()} == {"patch": b"the old one"}


def test_a_worker_that_dies_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_binary: Callable[..., bytes]
) -> None:
    crash = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    monkeypatch.setattr(encoding, "python_command", lambda _module: crash)
    (tmp_path / "new").write_bytes(make_binary(6, 300_000))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DeltaChildError, match="it was killed"):
        write_patch(out / "patch", [PatchInput("a", tmp_path / "new")])
    assert not list(out.iterdir())


@pytest.mark.parametrize("size", [2_000, 300_000])
def test_encoding_without_the_vendors_packages_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_binary: Callable[..., bytes], size: int
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "hdiffpatch.py").write_text("raise ModuleNotFoundError('hdiffpatch')")
    monkeypatch.syspath_prepend(hidden)  # the workers search where this process does
    monkeypatch.setitem(sys.modules, "hdiffpatch", None)
    (tmp_path / "new").write_bytes(make_binary(6, size))
    (tmp_path / "old").write_bytes(make_binary(7, size))
    inputs = [PatchInput("a", tmp_path / "new", "a", tmp_path / "old")]
    with pytest.raises(DeltaChildError, match=r"repoint\[vendor\]"):
        write_patch(tmp_path / "patch", inputs)


def test_a_missing_file_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(FileNotFoundError):
        write_patch(out / "patch", [PatchInput("a", tmp_path / "nowhere")])
    assert not list(out.iterdir())


def test_two_inputs_of_one_name_are_refused(tmp_path: Path, pairs: Pairs) -> None:
    with pytest.raises(PatchError, match="two files of one name"):
        write_patch(tmp_path / "patch", [pairs.inputs[0], pairs.inputs[0]])


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path, pairs: Pairs) -> None:
    bad = msgspec.structs.replace(pairs.inputs[0], name=os.fsdecode(b"caf\xe9"))
    with pytest.raises(PatchError, match="not UTF-8"):
        write_patch(tmp_path / "patch", [bad])


def test_an_oversized_annex_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_ANNEX", 10)
    with pytest.raises(PatchError, match="annex"):
        write_patch(tmp_path / "patch", [], b"x" * 11)
    with pytest.raises(PatchError, match="annex"):
        parse_patch(memoryview(forged({"annex": b"x" * 11, "entries": []})))


@given(data=st.data())
def test_a_patch_truncated_anywhere_is_refused_with_one_clear_error(
    sample: tuple[bytes, dict[str, bytes], list[bytes]], data: st.DataObject
) -> None:
    patch, _, _ = sample
    cut = data.draw(st.integers(0, len(patch) - 1))
    with pytest.raises(PatchError):
        parse_patch(memoryview(patch[:cut]))


@settings(max_examples=300)
@given(data=st.data())
def test_a_bit_flipped_anywhere_never_gives_another_file(
    sample: tuple[bytes, dict[str, bytes], list[bytes]], data: st.DataObject
) -> None:
    patch, olds, news = sample
    at = data.draw(st.integers(0, len(patch) * 8 - 1))
    damaged = bytearray(patch)
    damaged[at // 8] ^= 1 << at % 8
    try:
        # Compressed streams have bits without meaning.
        assert decode_all(bytes(damaged), olds) == news
        assert at // 8 >= parse_patch(memoryview(patch))[1]
    except (PatchError, MemoryError):
        pass


@given(data=st.data())
def test_bytes_removed_overwritten_or_inserted_never_give_another_file(
    sample: tuple[bytes, dict[str, bytes], list[bytes]], data: st.DataObject
) -> None:
    patch, olds, news = sample
    start = data.draw(st.integers(0, len(patch)))
    end = data.draw(st.integers(start, len(patch)))
    damaged = patch[:start] + data.draw(st.binary(max_size=64)) + patch[end:]
    with contextlib.suppress(PatchError, MemoryError):
        assert decode_all(damaged, olds) == news


@given(st.binary(max_size=400))
def test_a_header_of_any_bytes_is_refused_or_read(raw: bytes) -> None:
    for patch in (raw, b"RPPATCH1" + raw, forged(raw)):
        with contextlib.suppress(PatchError):
            parse_patch(memoryview(patch))


def test_trailing_bytes_are_refused(sample: tuple[bytes, dict[str, bytes], list[bytes]]) -> None:
    with pytest.raises(PatchError, match="do not belong"):
        parse_patch(memoryview(sample[0] + b"\0"))


@pytest.mark.parametrize(
    ("entries", "payloads"),
    [
        ([entry("a"), entry("a")], b""),
        ([entry("a", codec="quantum")], b""),
        ([entry("a", size=-1)], b""),
        ([entry("a", length=-1), entry("b", length=1)], b""),
        ([entry("a", length=2)], b"1"),
        ([entry("a", length=1 << 61), entry("b", length=1 << 61)], b""),
        ([entry("")], b""),
        ([entry("a", sha256="0" * 63)], b""),
        ([entry("a", sha256=DIGEST + "\n")], b""),
        ([entry("a") | {"more": 1}], b""),
        ([{"name": "a"}], b""),
        ("a", b""),
        ([entry(b"a")], b""),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(entries: object, payloads: bytes) -> None:
    with pytest.raises(PatchError):
        parse_patch(memoryview(forged({"annex": b"", "entries": entries}, payloads)))


def test_a_valid_forged_header_is_read() -> None:
    patch = forged({"annex": b"x", "entries": [entry("a", 3, "full", 2)]}, b"12")
    header, start = parse_patch(memoryview(patch))
    assert header == Header(b"x", (PatchEntry("a", "", 3, DIGEST, "full", 2),))
    assert [offset for _, offset in offsets(header, start)] == [len(patch) - 2]


def test_an_oversized_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    good = forged({"annex": b"", "entries": []})
    for field in (8, 12):
        damaged = bytearray(good)
        damaged[field : field + 4] = struct.pack("<I", 0xFFFFFFFF)
        Path(tmp_path, "patch").write_bytes(damaged)
        with pytest.raises(PatchError, match="larger than"):
            read_header(tmp_path / "patch")


def test_a_header_that_unpacks_to_more_than_declared_is_refused() -> None:
    bomb = forged(msgspec.msgpack.encode({"annex": bytes(1 << 20), "entries": []}), unpacked=100)
    with pytest.raises(PatchError, match="length"):
        parse_patch(memoryview(bomb))
