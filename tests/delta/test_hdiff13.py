"""Our decoder of HDiffPatch payloads, compared with the library's."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass

import hdiffpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoint.delta.codecs import CODECS
from repoint.delta.errors import PatchError
from repoint.delta.hdiff13 import MAGIC, decode


def encode(old: bytes, new: bytes) -> bytes:
    payload = CODECS.named("hdiff").encode(memoryview(old), memoryview(new))
    assert payload is not None
    return payload


def decoded(old: bytes, payload: bytes, size: int) -> bytes:
    new = bytearray(b"\xaa" * size)  # the output may hold anything before
    decode(memoryview(old), memoryview(payload), memoryview(new))
    return bytes(new)


def number(value: int, tag: int = 0, bits: int = 0) -> bytes:
    groups = [value & 0x7F]
    value >>= 7
    while value:
        groups.append(value & 0x7F)
        value >>= 7
    if groups[-1] >= 1 << (7 - bits):
        groups.append(0)
    first, *rest = reversed(groups)
    more = 0x80 >> bits if rest else 0
    out = bytes([tag << (8 - bits) | more | first])
    return out + bytes(each | 0x80 for each in rest[:-1]) + bytes(rest[-1:])


@dataclass(frozen=True)
class Parts:
    """What a payload made by hand holds; by default a copy of the first four bytes of ten."""

    old: int = 10
    new: int = 4
    covers: tuple[bytes, ...] = (b"\0\0\4",)
    control: bytes = b"\3"
    codes: bytes = b""
    fresh: bytes = b""


def payload_of(parts: Parts) -> bytes:
    """Return the payload, without compression."""
    streams = (b"".join(parts.covers), parts.control, parts.codes, parts.fresh)
    numbers = [parts.new, parts.old, len(parts.covers)]
    for stream in streams:
        numbers += [len(stream), 0]
    return MAGIC + b"".join(map(number, numbers)) + b"".join(streams)


def cover(step: int, gap: int, length: int) -> bytes:
    return number(abs(step), int(step < 0), 1) + number(gap) + number(length)


@st.composite
def related(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An old file, and pieces of it shuffled, shifted, changed and mixed with new bytes."""
    chance = random.Random(draw(st.integers(0, 1 << 32)))
    old = bytes(
        chance.choices(range(draw(st.sampled_from([2, 30, 256]))), k=draw(st.integers(1, 9000)))
    )
    out = bytearray()
    for _ in range(draw(st.integers(1, 12))):
        at = chance.randrange(len(old))
        piece = bytearray(old[at : at + chance.choice([3, 40, 700, 5000])])
        match draw(st.integers(0, 4)):
            case 0:
                piece = bytearray((each + 255) & 255 for each in piece)
            case 1:
                for _ in range(len(piece) // 9):
                    piece[chance.randrange(len(piece))] = chance.randrange(256)
            case 2:
                piece += chance.randbytes(chance.choice([1, 60, 600]))
            case 3:
                for i in range(0, len(piece), 7):
                    piece[i] = (piece[i] + 5) & 255
        out += piece
    return old, bytes(out)


@settings(max_examples=250, deadline=None)
@given(
    st.one_of(
        related(),
        st.tuples(st.binary(min_size=1, max_size=900), st.binary(min_size=1, max_size=900)),
    )
)
def test_it_decodes_what_the_library_encodes(files: tuple[bytes, bytes]) -> None:
    old, new = files
    payload = encode(old, new)
    assert hdiffpatch.apply(old, payload) == new
    assert decoded(old, payload, len(new)) == new


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(related(), st.data())
def test_damage_is_refused_or_gives_what_the_library_gives(
    files: tuple[bytes, bytes], data: st.DataObject
) -> None:
    old, new = files
    payload = bytearray(encode(old, new))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(len(MAGIC), len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    try:
        ours = decoded(old, bytes(payload), len(new))
    except PatchError:
        return
    # The library accepts less than we do in a few cases (it checks nothing that we do not).
    with contextlib.suppress(hdiffpatch.HDiffPatchError, ValueError, OverflowError):
        assert hdiffpatch.apply(old, bytes(payload)) == ours


def test_a_payload_made_by_hand_is_followed() -> None:
    parts = Parts(
        new=9,
        covers=(cover(4, 1, 3), cover(-7, 0, 4)),
        control=number(3, 0, 2) + number(0, 2, 2) + number(1, 3, 2) + number(1, 1, 2),
        codes=b"\x02\x03\x04",
        fresh=b"AB",
    )
    payload = payload_of(parts)
    # new: A | 4 5 6 | 0 1 2 3 | B, with 2, 3, 4, 255, 255 added from the fifth byte on
    expected = bytes([ord("A"), 4, 5, 6, 2, 4, 6, 2, ord("B")])
    assert decoded(bytes(range(10)), payload, 9) == expected
    assert hdiffpatch.apply(bytes(range(10)), payload) == expected


HOSTILE = {
    "another old size": Parts(old=11),
    "another new size": Parts(new=5),
    "a cover before the old file": Parts(covers=(cover(-1, 0, 4),)),
    "a cover behind the old file": Parts(covers=(cover(7, 0, 4),)),
    "a cover behind the new file": Parts(covers=(cover(0, 1, 4),)),
    "a cover far outside": Parts(covers=(cover(1 << 60, 1 << 60, 1 << 60),)),
    "a gap without new bytes": Parts(covers=(cover(0, 1, 3),)),
    "new bytes without a gap": Parts(fresh=b"x"),
    "no control": Parts(control=b""),
    "control for fewer bytes": Parts(control=number(2, 0, 2)),
    "control for more bytes": Parts(control=number(4, 0, 2)),
    "control for far more bytes": Parts(control=number(1 << 60, 1, 2)),
    "a code that is missing": Parts(control=number(3, 2, 2)),
    "codes that are missing": Parts(control=number(3, 3, 2), codes=b"abc"),
    "codes left over": Parts(codes=b"a"),
    "a number that never ends": Parts(control=b"\x3f" + b"\xff" * 20),
    "a stream far larger than the file": Parts(codes=bytes(40_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_payload_is_refused(name: str) -> None:
    assert decoded(bytes(range(10)), payload_of(Parts()), 4) == bytes(range(4))
    with pytest.raises(PatchError):
        decoded(bytes(range(10)), payload_of(HOSTILE[name]), 4)


def test_the_declared_number_of_covers_must_be_there() -> None:
    good = payload_of(Parts())
    at = len(MAGIC) + 2
    assert good[at] == 1
    for count in (0, 2, 3, 0x7F):
        with pytest.raises(PatchError):
            decoded(bytes(range(10)), good[:at] + bytes([count]) + good[at + 1 :], 4)


def test_a_payload_of_another_compression_is_refused() -> None:
    payload = hdiffpatch.diff(b"old" * 100, b"new" * 100, "zlib")
    with pytest.raises(PatchError, match="kind"):
        decoded(b"old" * 100, payload, 300)


def test_a_dictionary_larger_than_the_streams_need_is_refused() -> None:
    old = random.Random(1).randbytes(3000)
    new = old[1000:] + old[:1000] + bytes(range(256)) * 4
    payload = encode(old, new)
    at = payload.index(b"\xe0") - 1  # LZMA2's first chunk resets its state and properties
    assert payload[at] <= 28
    with pytest.raises(PatchError, match="dictionary"):
        decoded(old, payload[:at] + b"\x28" + payload[at + 1 :], len(new))


def test_many_small_changes_are_decoded_fast() -> None:
    """Five million control codes would take minutes if each of them cost an integer of its own."""
    chance = random.Random(5)
    old = chance.randbytes(400_000)
    new = bytes((each + (i % 9 == 0)) & 255 for i, each in enumerate(old))
    payload = encode(old, new)
    started = time.process_time()
    assert decoded(old, payload, len(new)) == new
    assert time.process_time() - started < 1
