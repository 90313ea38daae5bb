from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.delta.codec_selection import first_pass, second_pass, smallest
from repoint.delta.codecs import CODECS
from repoint.delta.errors import PatchError
from repoint.delta.zstd import zstd

NAMES = [codec.name for codec in CODECS]
RELATED = st.tuples(st.binary(max_size=600), st.binary(max_size=60), st.binary(max_size=600)).map(
    lambda parts: (parts[0] + parts[2], parts[0] + parts[1] + parts[2])
)
FILES = st.one_of(RELATED, st.tuples(st.binary(max_size=900), st.binary(max_size=900)))


def decode(name: str, old: bytes, payload: bytes, size: int) -> bytes:
    new = bytearray(size)
    CODECS.named(name).decode(memoryview(old), memoryview(payload), memoryview(new))
    return bytes(new)


@given(FILES)
def test_every_codec_decodes_what_it_encodes(files: tuple[bytes, bytes]) -> None:
    old, new = files
    for codec in CODECS:
        payload = codec.encode(memoryview(old), memoryview(new))
        if payload is not None:
            assert decode(codec.name, old, payload, len(new)) == new


@given(FILES)
def test_the_smallest_payload_is_chosen_and_decodes(files: tuple[bytes, bytes]) -> None:
    old, new = files
    name, payload = smallest(CODECS, memoryview(old), memoryview(new))
    assert decode(name, old, payload, len(new)) == new
    others = [codec.encode(memoryview(old), memoryview(new)) for codec in CODECS]
    assert len(payload) == min(len(other) for other in others if other is not None)
    assert (name, payload) == smallest(CODECS, memoryview(old), memoryview(new))


@given(FILES, st.sampled_from(NAMES), st.integers(-3, 3).filter(bool))
def test_another_length_than_the_declared_one_is_refused(
    files: tuple[bytes, bytes], name: str, wrong: int
) -> None:
    old, new = files
    payload = CODECS.named(name).encode(memoryview(old), memoryview(new))
    if payload is not None and len(new) + wrong >= 0:
        with pytest.raises(PatchError):
            decode(name, old, payload, len(new) + wrong)


@given(st.binary(max_size=200), st.sampled_from(NAMES), st.integers(1, 100))
def test_a_payload_of_any_bytes_is_refused_or_decoded(payload: bytes, name: str, size: int) -> None:
    with contextlib.suppress(PatchError):
        assert len(decode(name, b"old file", payload, size)) == size


@pytest.mark.parametrize("name", ["full", "xz", "zstd", "hdiff"])
def test_a_truncated_or_extended_payload_is_refused(
    name: str, make_binary: Callable[..., bytes], make_patched: Callable[..., bytes]
) -> None:
    old = make_binary(3, 5000)
    new = make_patched(old)
    payload = CODECS.named(name).encode(memoryview(old), memoryview(new))
    assert payload is not None
    for cut in (0, 1, len(payload) // 2, len(payload) - 1):
        with pytest.raises(PatchError):
            decode(name, old, payload[:cut], len(new))
    with pytest.raises(PatchError):
        decode(name, old, payload + b"\0", len(new))


def test_a_file_that_was_patched_costs_less_than_a_full_copy(
    make_binary: Callable[..., bytes], make_patched: Callable[..., bytes]
) -> None:
    old = make_binary(4)
    new = make_patched(old)
    name, payload = smallest(CODECS, memoryview(old), memoryview(new))
    full = CODECS.named("full").encode(memoryview(old), memoryview(new))
    assert name in {"zstd", "hdiff"}
    assert full is not None
    assert len(payload) * 3 < len(full)


def test_a_codec_that_cannot_win_is_not_tried(
    make_binary: Callable[..., bytes], make_patched: Callable[..., bytes]
) -> None:
    old = make_binary(5, 400_000)
    new = make_patched(old)
    assert first_pass(CODECS, memoryview(old), memoryview(new)) == ["hdiff", "elf", "members"]
    tried, nothing = ["hdiff", "elf", "members"], memoryview(b"")
    assert second_pass(CODECS, nothing, memoryview(new), len(new), tried) == ["full", "xz", "zstd"]
    assert second_pass(CODECS, nothing, memoryview(new), 100, tried) == ["zstd"]
    large = memoryview(new * 12)
    assert second_pass(CODECS, nothing, large, 100, tried) == []


def test_the_smallest_payload_is_found_when_hardly_anything_changed() -> None:
    """In a long list with a few changed digests, a dictionary beats suffix sorting by some bytes."""
    chance = random.Random(11)
    lines = [f"django/file{i}.py,sha256={chance.randbytes(32).hex()}\n" for i in range(2000)]
    changed = list(lines)
    for at in chance.sample(range(2000), 12):
        changed[at] = f"django/file{at}.py,sha256={chance.randbytes(32).hex()}\n"
    old, new = (memoryview("".join(each).encode()) for each in (lines, changed))
    hdiff, zstd = (CODECS.named(name).encode(old, new) for name in ("hdiff", "zstd"))
    assert hdiff is not None
    assert zstd is not None
    assert len(zstd) < len(hdiff)
    assert smallest(CODECS, old, new)[0] == "zstd"


def test_a_large_file_unrelated_to_the_old_one_is_sent_whole(
    make_binary: Callable[..., bytes],
) -> None:
    old, new = b"nothing of this" * 20_000, make_binary(6, 200_000)
    name, payload = smallest(CODECS, memoryview(old), memoryview(new))
    assert name in {"full", "xz", "hdiff"}
    full = CODECS.named("xz").encode(memoryview(old), memoryview(new))
    assert full is not None
    assert len(payload) <= len(full)


def test_a_renamed_file_costs_nothing() -> None:
    assert smallest(CODECS, memoryview(b"the same"), memoryview(b"the same")) == ("copy", b"")


def test_a_frame_without_its_size_is_refused_before_it_is_decompressed() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.content_size_flag: 0}
    bomb = zstd.compress(bytes(1 << 20), options=options)
    with pytest.raises(PatchError, match="declared length"):
        decode("full", b"", bomb, 100)


@pytest.mark.parametrize("size", [300, 3 << 20])
def test_a_frame_with_too_large_a_window_is_refused_before_it_is_decompressed(size: int) -> None:
    content = b"x" * size
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 20}
    compressor = zstd.ZstdCompressor(options=options)
    frame = bytearray(compressor.compress(content) + compressor.flush())
    assert frame[4:6] == b"\0\x50"  # no content size; a window of 2**20 bytes
    frame[4] = 0x80  # a content size of four bytes
    frame[6:6] = len(content).to_bytes(4, "little")
    with pytest.raises(PatchError, match="window") if size < 1 << 17 else contextlib.nullcontext():
        assert decode("full", b"", bytes(frame), len(content)) == content
    frame[5] = 8 << 3  # 2**18 bytes
    assert decode("full", b"", bytes(frame), len(content)) == content
    frame[5] = 17 << 3  # 2**27 bytes
    with pytest.raises(PatchError, match="window"):
        decode("full", b"", bytes(frame), len(content))


def test_a_zstd_payload_for_a_too_short_old_file_is_refused() -> None:
    payload = CODECS.named("full").encode(memoryview(b""), memoryview(b"new"))
    assert payload is not None
    with pytest.raises(PatchError, match="longer old file"):
        decode("zstd", b"short", payload, 3)


def test_an_unknown_codec_says_to_update() -> None:
    with pytest.raises(PatchError, match="Update Repoint"):
        CODECS.named("quantum")
