"""Patches that were once made must decode for ever.

Each ``vectors/NAME.VERSION.patch`` is the payload of codec `elf` that turns ``NAME.old`` into
``NAME.new``. From the first release on, a payload is never replaced; a change of the format adds a
new version. ``vectors/Makefile`` builds the files, and ``python -m tests.delta.test_vectors`` writes
the payloads of the current encoder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repoint.delta.codecs import CODECS
from repoint.delta.elf.common import layout
from repoint.delta.elf.payload.streams import VERSION
from repoint.delta.elf.references import extract
from repoint.delta.elf.references.kinds import KINDS
from repoint.delta.errors import PatchError

VECTORS = Path(__file__).parent / "vectors"
PATCHES = sorted(VECTORS.glob("*.patch"))
PAIRS = sorted(file.stem for file in VECTORS.glob("*.old"))


def pair(name: str) -> tuple[bytes, bytes]:
    return (VECTORS / f"{name}.old").read_bytes(), (VECTORS / f"{name}.new").read_bytes()


def decode(old: bytes, payload: bytes, size: int) -> bytes:
    new = bytearray(size)
    CODECS.named("elf").decode(memoryview(old), memoryview(payload), memoryview(new))
    return bytes(new)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_an_old_patch_still_decodes(patch: Path) -> None:
    old, new = pair(patch.name.split(".")[0])
    assert decode(old, patch.read_bytes(), len(new)) == new


def test_there_is_a_patch_of_this_version_for_every_pair() -> None:
    assert {patch.name for patch in PATCHES} >= {f"{name}.{VERSION}.patch" for name in PAIRS}


@pytest.mark.parametrize("name", PAIRS)
def test_the_current_encoder_gives_a_small_patch_that_decodes(name: str) -> None:
    old, new = pair(name)
    payload = CODECS.named("elf").encode(memoryview(old), memoryview(new))
    assert payload is not None
    assert decode(old, payload, len(new)) == new
    general = CODECS.named("hdiff").encode(memoryview(old), memoryview(new))
    assert general is not None
    assert len(payload) < 0.9 * len(general)


@pytest.mark.parametrize("name", PAIRS)
def test_without_section_headers_the_program_headers_are_used(name: str) -> None:
    old, new = (bytearray(data) for data in pair(name))
    for data in (old, new):
        data[40:48] = bytes(8)  # e_shoff
        data[58:64] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
    payload = CODECS.named("elf").encode(memoryview(old), memoryview(new))
    assert payload is not None
    assert decode(bytes(old), payload, len(new)) == new


def test_the_vectors_hold_every_kind_of_reference() -> None:
    kinds: set[int] = set()
    for name in PAIRS:
        data = np.frombuffer(pair(name)[0], np.uint8)
        refs = extract.all_references(data, layout.parse(data))
        kinds |= set(refs.kind.tolist())
    assert kinds == set(range(len(KINDS)))


@pytest.mark.parametrize("name", PAIRS)
def test_a_vector_for_another_old_file_is_refused_or_gives_another_file(name: str) -> None:
    payload = (VECTORS / f"{name}.{VERSION}.patch").read_bytes()
    other, new = pair(next(n for n in PAIRS if n != name))[0], pair(name)[1]
    try:
        assert decode(other, payload, len(new)) != new
    except PatchError:
        return


if __name__ == "__main__":
    for each in PAIRS:
        path = VECTORS / f"{each}.{VERSION}.patch"
        if not path.exists():
            payload = CODECS.named("elf").encode(*(memoryview(data) for data in pair(each)))
            assert payload is not None
            path.write_bytes(payload)
            print(f"{path.name}: {len(payload)} bytes")
