from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.delta.codecs import CODECS
from repoint.delta.errors import PatchError
from repoint.delta.members import rebuild, recipe
from repoint.delta.members.deflate import deflate, stable_prefix
from repoint.delta.members.recipe import Member, Part, Piece, Recipe
from repoint.delta.members.scan import find_members

VECTORS = Path(__file__).parent / "vectors"
ELF = [(VECTORS / f"x86_64.{age}").read_bytes() for age in ("old", "new")]
WORDS = [word.encode() for word in Path(zipfile.__file__).read_text().split()]
LEVELS = [(level, memory) for memory in (8, 9) for level in range(1, 10)]


def text(seed: int, length: int) -> bytes:
    return b" ".join(random.Random(seed).choices(WORDS, k=length))


def zipped(files: dict[str, bytes], level: int = 6, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, compresslevel=level) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method, level)
    return out.getvalue()


def patch(old: bytes, new: bytes) -> bytes | None:
    payload = CODECS.named("members").encode(memoryview(old), memoryview(new))
    if payload is not None:
        assert decode(old, payload, len(new)) == new
    return payload


def decode(old: bytes, payload: bytes, size: int) -> bytes:
    new = bytearray(size)
    CODECS.named("members").decode(memoryview(old), memoryview(payload), memoryview(new))
    return bytes(new)


def parts(payload: bytes, old: bytes, new: bytes) -> list[str]:
    plan, _ = recipe.load(memoryview(payload), len(old), len(new))
    return [part.codec for part in plan.parts]


def smallest_of_other_codecs(old: bytes, new: bytes) -> int:
    payloads = [
        codec.encode(memoryview(old), memoryview(new))
        for codec in CODECS
        if codec.name != "members"
    ]
    return min(len(payload) for payload in payloads if payload is not None)


def zlibs(content: bytes, level: int, memory: int) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, memory)
    return compressor.compress(content) + compressor.flush()


CONTENTS = {
    "nothing": b"",
    "a few bytes": b"abcabcabd",
    "one byte many times": bytes(100_000),
    "two letters": bytes(random.Random(1).choices(b"ab", k=20_000)),
    "noise": random.Random(2).randbytes(70_000),
    "text": text(3, 12_000),
    "a program": ELF[0],
    "noise and text and the same again": random.Random(4).randbytes(30_000) + text(5, 5000) * 2,
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize(("level", "memory"), [(1, 8), (3, 9), (4, 8), (6, 8), (9, 9)])
def test_our_deflate_gives_the_bits_of_zlib(name: str, level: int, memory: int) -> None:
    content = CONTENTS[name]
    assert deflate(content, level, memory) == zlibs(content, level, memory)


@given(
    st.lists(st.sampled_from([b"a", b"ab", b"\0\0", b"xyzw", bytes(range(256))]), max_size=400),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_our_deflate_gives_the_bits_of_zlib_with_any_setting(
    pieces: list[bytes], level: int, memory: int
) -> None:
    content = b"".join(pieces)
    assert deflate(content, level, memory) == zlibs(content, level, memory)


@pytest.mark.parametrize("level", [2, 6])
def test_a_stable_prefix_does_not_depend_on_what_follows(level: int) -> None:
    prefix = stable_prefix(text(7, 14_000), level, 8)
    assert len(prefix) > 5000
    for seed in (8, 9):
        assert zlibs(text(7, 14_000) + text(seed, 5000), level, 8).startswith(prefix)


@pytest.mark.parametrize("level", [1, 6, 9])
def test_a_wheel_with_one_changed_module_costs_as_much_as_the_module(level: int) -> None:
    same = {f"pkg/m{n}.py": text(n, 900) for n in range(20)}
    old = zipped({**same, "pkg/x.py": text(30, 4000), "pkg/RECORD": text(31, 300)}, level)
    changed = text(30, 4000).replace(b"return", b"raise", 9)
    new = zipped({**same, "pkg/x.py": changed, "pkg/RECORD": text(31, 301)}, level)
    payload = patch(old, new)
    assert payload is not None
    assert len(payload) < smallest_of_other_codecs(old, new) / 4


def test_compiled_code_in_a_jar_is_encoded_as_compiled_code() -> None:
    old = zipped({"native/libshop.so": ELF[0], "Shop.class": text(1, 500)})
    new = zipped({"native/libshop.so": ELF[1], "Shop.class": text(1, 500)})
    payload = patch(old, new)
    assert payload is not None
    assert "elf" in parts(payload, old, new)
    assert len(payload) < smallest_of_other_codecs(old, new) / 4


def test_a_gzip_file_is_encoded_by_its_content() -> None:
    old = gzip.compress(text(1, 20_000), 6, mtime=0)
    new = gzip.compress(text(1, 20_000).replace(b"def", b"DEF", 5), 6, mtime=1)
    payload = patch(old, new)
    assert payload is not None
    assert len(payload) < len(new) / 20


def test_streams_within_any_file_are_found() -> None:
    """As in the resource files of browsers, where some entries are compressed."""
    entries = [gzip.compress(text(n, 2000), 9, mtime=0) for n in range(6)]
    other = gzip.compress(text(3, 2000) + b"and more", 9, mtime=0)
    old = b"\5\0\0\0" + b"".join(entries) + text(50, 1000)
    new = b"\5\0\0\0" + b"".join([*entries[:3], other, *entries[4:]]) + text(50, 1000)
    payload = patch(old, new)
    assert payload is not None
    assert len(payload) < 400


def test_compiled_code_in_an_uncompressed_archive_is_found() -> None:
    def archive(program: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as file:
            for name, content in (("a.js", text(1, 900)), ("app.node", program)):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))
        return out.getvalue()

    old, new = archive(ELF[0]), archive(ELF[1])
    payload = patch(old, new)
    assert payload is not None
    assert parts(payload, old, new)[1:] == ["elf"]


def test_a_member_under_another_name_is_found_by_its_content() -> None:
    files = {f"{n}.txt": text(n, 3000) for n in range(5)}
    old = zipped(files)
    new = zipped({**files, "moved-here.bin": text(2, 3000)[:-100] + b"the end"})
    payload = patch(old, new)
    assert payload is not None
    assert len(payload) < 1000


def test_a_member_that_cannot_be_rebuilt_stays_in_the_skeleton() -> None:
    """A compressor that finds other matches than zlib; here it finds none."""

    def odd(content: bytes) -> bytes:
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_HUFFMAN_ONLY)
        return compressor.compress(content) + compressor.flush()

    old, new = (
        gzip.compress(content, 6, mtime=0)[:10] + odd(content) + bytes(8)
        for content in (text(1, 2000), text(2, 2000))
    )
    assert len(find_members(memoryview(new))) == 1
    assert patch(old, new) is None


def test_files_without_members_are_left_to_other_codecs() -> None:
    assert patch(text(1, 500), text(2, 500)) is None
    assert patch(ELF[0], ELF[1]) is None
    assert patch(b"", zipped({"a": text(1, 500)})) is None


@pytest.mark.parametrize("damage", ["cut", "wrong size", "noise within"])
def test_a_damaged_container_is_decoded_or_left_to_other_codecs(damage: str) -> None:
    old, new = zipped({"a": text(1, 900)}), bytearray(zipped({"a": text(2, 900)}))
    if damage == "cut":
        del new[-30:]
    elif damage == "wrong size":
        at = new.rindex(b"PK\1\2") + 24
        new[at : at + 4] = (7).to_bytes(4, "little")
    else:
        new[100:140] = random.Random(1).randbytes(40)
    payload = patch(old, bytes(new))
    assert payload is None or decode(old, payload, len(new)) == bytes(new)


def test_a_device_with_another_zlib_rebuilds_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = zipped({"a": text(1, 3000), "libshop.so": ELF[0]})
    new = zipped({"a": text(1, 3000) + b"!", "libshop.so": ELF[1]})
    payload = patch(old, new)
    assert payload is not None

    def another(content: bytes, settings: rebuild.ZlibSettings) -> bytes:
        compressor = zlib.compressobj(settings.level, zlib.DEFLATED, -15, 8, zlib.Z_HUFFMAN_ONLY)
        return compressor.compress(content) + compressor.flush()

    rebuild.device_has_zlib.cache_clear()
    monkeypatch.setattr(rebuild, "_by_device", another)
    try:
        assert decode(old, payload, len(new)) == new
        assert CODECS.named("members").encode(memoryview(old), memoryview(new)) == payload
    finally:
        rebuild.device_has_zlib.cache_clear()


def test_an_old_patch_still_decodes() -> None:
    """This payload is frozen: the codec's first version made it from two small wheels."""
    folder = VECTORS / "members"
    old, new = (folder / f"wheel.{age}" for age in ("old", "new"))
    payload = (folder / "wheel.1.patch").read_bytes()
    assert decode(old.read_bytes(), payload, len(new.read_bytes())) == new.read_bytes()


OLD = zlibs(b"what was " * 100, 6, 8)
SKELETON = Part("copy", 0, len(OLD), (Piece(0, len(OLD)),))
CONTENT = b"what is " * 100
PACKED = zlibs(CONTENT, 6, 8)


def payload_of(
    *, part: Part | None = None, member: Member | None = None, more: tuple[Part, ...] = ()
) -> bytes:
    """Return a payload that gives the old file and then a member, unless told otherwise."""
    full = CODECS.named("full").encode(memoryview(b""), memoryview(CONTENT)) or b""
    part = part or Part("full", len(full), len(CONTENT), ())
    crc = zlib.crc32(PACKED)
    member = member or Member(len(OLD), len(PACKED), 1, len(CONTENT), 6, 8, crc)
    return recipe.dump(Recipe((SKELETON, part, *more), (member,)), [b"", full])


SIZE = len(OLD) + len(PACKED)


def test_a_recipe_made_by_hand_is_followed() -> None:
    assert decode(OLD, payload_of(), SIZE) == OLD + PACKED


HOSTILE = {
    "a missing part": payload_of(member=Member(len(OLD), len(PACKED), 7, len(CONTENT), 6)),
    "another crc": payload_of(member=Member(len(OLD), len(PACKED), 1, len(CONTENT), 6, 8, 5)),
    "another level": payload_of(
        member=Member(len(OLD), len(PACKED), 1, len(CONTENT), 1, 8, zlib.crc32(PACKED))
    ),
    "a gap after the skeleton": payload_of(
        member=Member(len(OLD) + 1, len(PACKED), 1, len(CONTENT), 6, 8, zlib.crc32(PACKED))
    ),
    "a member longer than the file": payload_of(member=Member(0, 1 << 60, 1, len(CONTENT), 6)),
    "a member longer than its part": payload_of(
        member=Member(len(OLD), len(PACKED), 1, len(CONTENT) + 1, 6)
    ),
    "a member of two lengths": payload_of(member=Member(len(OLD), len(PACKED), 1, len(CONTENT), 0)),
    "a recipe in a recipe": payload_of(part=Part("members", 0, len(CONTENT), ())),
    "an unknown codec": payload_of(part=Part("magic", 0, len(CONTENT), ())),
    "an old piece outside": payload_of(part=Part("full", 0, len(CONTENT), (Piece(0, 1 << 40),))),
    "an old piece that is not a stream": payload_of(
        part=Part("zstd", 0, len(CONTENT), (Piece(3, 9, 1000),))
    ),
    "a part too large": payload_of(
        part=Part("full", 0, 1 << 40, ()), member=Member(len(OLD), len(PACKED), 1, 1 << 40, 6)
    ),
    "a part that nothing uses": payload_of(more=(Part("full", 0, 0, ()),)),
    "the old file a thousand times": payload_of(
        part=Part("zstd", 9, len(CONTENT), (Piece(0, len(OLD), 900),) * 3000)
    ),
    "no parts": recipe.dump(Recipe((), ()), []),
    "bytes after the last part": payload_of() + b"!",
    "a truncated part": payload_of()[:-1],
    "nothing": b"",
    "a recipe declared to be huge": payload_of()[:4] + b"\xff\xff\xff\x7f" + payload_of()[8:],
    "no recipe": payload_of()[:8] + b"no zstd here" + payload_of()[20:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_recipe_is_refused(name: str) -> None:
    with pytest.raises(PatchError):
        decode(OLD, HOSTILE[name], SIZE)


def test_a_small_file_cannot_ask_for_much_work() -> None:
    huge = bytes(8 << 20)
    packed = zlibs(huge, 9, 8)
    full = CODECS.named("full").encode(memoryview(b""), memoryview(huge)) or b""
    plan = Recipe(
        (Part("full", len(full), 1, ()), Part("full", len(full), len(huge), ())),
        (Member(0, len(packed), 1, len(huge), 9, 8, zlib.crc32(packed)),),
    )
    with pytest.raises(PatchError, match="more work"):
        decode(b"", recipe.dump(plan, [full, full]), len(packed) + 1)
