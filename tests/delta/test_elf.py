"""The engine for compiled code, on a real library of this interpreter."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoint.delta.codecs import CODECS
from repoint.delta.elf import codec
from repoint.delta.elf.encode import correction
from repoint.delta.elf.payload import columns, streams
from repoint.delta.elf.prediction import overrides
from repoint.delta.errors import PatchError
from repoint.delta.explain import explain
from repoint.delta.sandbox.child import DecodeJob, decode_in_child
from repoint.delta.writer import PatchInput, write_patch


@pytest.fixture(scope="module")
def library() -> bytes:
    """Return a shared library that is installed wherever Repoint is."""
    found = importlib.util.find_spec("msgspec._core")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_bytes()


@pytest.fixture(scope="module")
def patched(library: bytes) -> bytes:
    """Return the same library with scattered changes, as a fix leaves them."""
    new = bytearray(library)
    chance = random.Random(7)
    for _ in range(40):
        at = chance.randrange(4096, len(new) - 64)
        new[at : at + 4] = chance.randbytes(4)
    return bytes(new)


def decode(old: bytes, payload: bytes, size: int) -> bytes:
    new = bytearray(size)
    CODECS.named("elf").decode(memoryview(old), memoryview(payload), memoryview(new))
    return bytes(new)


def encode(old: bytes, new: bytes) -> bytes:
    payload = codec.encode(memoryview(old), memoryview(new))
    assert payload is not None
    return payload


def test_a_changed_library_is_decoded_and_costs_little(library: bytes, patched: bytes) -> None:
    payload = encode(library, patched)
    assert decode(library, payload, len(patched)) == patched
    assert len(payload) < 2_000


def test_the_same_files_always_give_the_same_payload(library: bytes, patched: bytes) -> None:
    assert encode(library, patched) == encode(library, patched)


@pytest.mark.parametrize("cut", [64, 1_000, 100_000])
def test_a_truncated_or_shifted_library_is_decoded_or_left_to_other_codecs(
    library: bytes, cut: int
) -> None:
    for new in (library[:-cut], library + library[:cut], library[:5000] + library[5000 + cut :]):
        payload = codec.encode(memoryview(library), memoryview(new))
        assert payload is None or decode(library, payload, len(new)) == new


def test_a_file_that_is_not_elf_is_left_to_the_other_codecs(library: bytes) -> None:
    for old, new in ((b"text", library), (library, b"text"), (b"", library)):
        assert CODECS.named("elf").encode(memoryview(old), memoryview(new)) is None


@pytest.mark.parametrize("keep", [4, 16, 40, 64, 200])
def test_a_header_without_its_file_is_no_error(library: bytes, keep: int) -> None:
    payload = codec.encode(memoryview(library[:keep]), memoryview(library))
    assert payload is None or decode(library[:keep], payload, len(library)) == library


def test_the_confined_child_decodes_it(
    library: bytes, patched: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.delta.encoding.first_pass", lambda *_: ["elf"])
    monkeypatch.setattr("repoint.delta.encoding.second_pass", lambda *_: [])
    (tmp_path / "old").write_bytes(library)
    (tmp_path / "new").write_bytes(patched)
    entries = write_patch(
        tmp_path / "patch", [PatchInput("lib", tmp_path / "new", "lib", tmp_path / "old")]
    )
    assert entries[0].codec == "elf"
    (tmp_path / "out").mkdir()
    job = DecodeJob("lib", tmp_path / "old", entries[0].size, entries[0].sha256)
    decode_in_child(tmp_path / "patch", [job], tmp_path / "out")
    assert (tmp_path / "out/0").read_bytes() == patched


def test_every_byte_of_a_payload_is_accounted_for(
    library: bytes, patched: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.delta.encoding.first_pass", lambda *_: ["elf"])
    monkeypatch.setattr("repoint.delta.encoding.second_pass", lambda *_: [])
    (tmp_path / "old").write_bytes(library)
    (tmp_path / "new").write_bytes(patched)
    inputs = [PatchInput("lib", tmp_path / "new", "lib", tmp_path / "old")]
    write_patch(tmp_path / "patch", inputs)
    (account,) = explain(tmp_path / "patch", lambda source: tmp_path / "old")
    assert sum(stream.stored for stream in account.streams) == account.length
    assert sum(section.size for section in account.sections) == len(patched)
    assert {section.section for section in account.sections} >= {".text", ".rodata"}
    text = next(section for section in account.sections if section.section == ".text")
    assert text.references > text.corrected
    (without,) = explain(tmp_path / "patch", lambda source: None)
    assert without.sections == ()


_NUMBERS = st.sampled_from([b"\0", b"\x7f", b"\xff\xff\x7f", b"\xff" * 8 + b"\x7f", b"\x80" * 9])


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(streams.NAMES), place=st.floats(0, 1), number=_NUMBERS,
    drop=st.integers(0, 6),
)  # fmt: skip
def test_impossible_numbers_give_one_error_or_some_file(
    library: bytes, patched: bytes, name: str, place: float, number: bytes, drop: int
) -> None:
    parts = streams.load(encode_once(library, patched), len(patched))
    raw = getattr(parts, name)
    at = int(place * len(raw))
    hostile = dataclasses.replace(parts, **{name: raw[:at] + number + raw[at + drop :]})
    payload = streams.dump(hostile, len(patched))
    with contextlib.suppress(PatchError):
        assert len(decode(library, payload, len(patched))) == len(patched)


_ENCODED: dict[int, bytes] = {}


def encode_once(old: bytes, new: bytes) -> bytes:
    key = hash((old, new))
    if key not in _ENCODED:
        _ENCODED[key] = encode(old, new)
    return _ENCODED[key]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_gives_one_error_or_some_file(
    library: bytes, patched: bytes, place: float, value: int
) -> None:
    payload = bytearray(encode_once(library, patched))
    payload[int(place * len(payload))] = value
    with contextlib.suppress(PatchError):
        decode(library, bytes(payload), len(patched))


def test_no_correction_of_the_map_exceeds_the_decoders_limit() -> None:
    """In two files with nothing in common, fields of eight bytes may differ by any number."""
    target = np.repeat(np.array([100, 200, 300], np.int64), 10)
    delta = np.repeat(np.array([1 << 62, -(1 << 62), 16], np.int64), 10)
    start, end, move = overrides.choose(target, delta)
    assert (start.tolist(), end.tolist(), move.tolist()) == ([300], [301], [16])


@pytest.mark.parametrize("delta", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1])
@pytest.mark.parametrize("bits", [12, 32, 64])
def test_every_correction_of_a_reference_can_be_encoded(delta: int, bits: int) -> None:
    mask = (1 << bits) - 1
    code = correction(np.array([delta], np.uint64), np.array([mask], np.uint64))
    (read,) = columns.unpack(columns.pack(code)).tolist()
    signed = (read >> 1) ^ -(read & 1)
    assert code[0] == 0 or signed & mask == delta & mask
