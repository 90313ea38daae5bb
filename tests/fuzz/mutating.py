"""Hostile payloads, made from valid ones with knowledge of their structure."""

from __future__ import annotations

import dataclasses
import random

import msgspec

from repoint.delta import hdiff13
from repoint.delta.elf.payload import streams
from repoint.delta.errors import PatchError
from repoint.delta.members import recipe

_NUMBERS = (
    b"\0", b"\1", b"\x7f", b"\x80\1", b"\xff\xff\x7f", b"\xff" * 5 + b"\x7f", b"\xff" * 8 + b"\x7f",
    b"\x80" * 9, b"\x80\x80\x80\x80\x40",
)  # fmt: skip
"""LEB128 numbers at the limits, and invalid ones."""


def mutate(payload: bytes, new_size: int, chance: random.Random) -> bytes:
    """Change a payload of codec `elf`: numbers in its streams, or any bytes."""
    if chance.random() < 0.3:
        return mutate_bytes(payload, chance)
    try:
        parts = streams.load(payload, new_size)
    except PatchError:
        return mutate_bytes(payload, chance)
    changed = {}
    for name in chance.sample(streams.NAMES, chance.choice((1, 1, 1, 2, 3))):
        raw = getattr(parts, name)
        for _ in range(chance.choice((1, 1, 2, 4))):
            raw = _mutate_column(raw, chance)
        changed[name] = raw
    return streams.dump(dataclasses.replace(parts, **changed), new_size)


def mutate_recipe(payload: bytes, old_size: int, new_size: int, chance: random.Random) -> bytes:
    """Change a payload of codec `members`: a number of its recipe, a part's bytes, or any bytes."""
    try:
        plan, parts = recipe.load(memoryview(payload), old_size, new_size)
    except PatchError:
        return mutate_bytes(payload, chance)
    payloads = [bytes(part) for part in parts]
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(plan))
    for _ in range(chance.choice((1, 1, 2))):
        match chance.randrange(5):
            case 0:
                at = chance.randrange(len(payloads))
                payloads[at] = mutate_bytes(payloads[at], chance)
            case 1 if raw[0]:
                chance.choice(raw[0])[chance.choice((1, 2))] = _number(chance)
            case 2 if raw[0] and (pieces := chance.choice(raw[0])[3]):
                pieces.append(list(chance.choice(pieces)))
                chance.choice(pieces)[chance.randrange(3)] = _number(chance)
            case 3 if raw[1]:
                chance.choice(raw[1])[chance.randrange(7)] = _number(chance)
            case _:
                return mutate_bytes(payload, chance)
    try:
        return recipe.dump(msgspec.convert(raw, recipe.Recipe), payloads)
    except msgspec.ValidationError:
        return mutate_bytes(payload, chance)


def mutate_hdiff(payload: bytes, old_size: int, new_size: int, chance: random.Random) -> bytes:
    """Change a payload of codec `hdiff`: bytes of a stream with its size corrected, or any bytes."""
    if chance.random() < 0.2:
        return mutate_bytes(payload, chance)
    try:
        preamble = hdiff13._preamble(payload, old_size, new_size)
        parts = hdiff13._streams(payload, preamble)
    except PatchError:
        return mutate_bytes(payload, chance)
    changed = chance.randrange(4)
    parts[changed] = mutate_bytes(parts[changed], chance)
    covers = preamble.covers + chance.choice((0, 0, 0, -1, 1))
    numbers = [new_size, old_size, max(0, covers)]
    for part in parts:
        numbers += [len(part), 0]
    return hdiff13.MAGIC + b"".join(map(_packed, numbers)) + b"".join(parts)


def _packed(value: int) -> bytes:
    """Return a number as HDiffPatch packs it: high bits first, bit 7 on all bytes but the last."""
    out = bytes([value & 0x7F])
    while value := value >> 7:
        out = bytes([0x80 | value & 0x7F]) + out
    return out


def _number(chance: random.Random) -> int:
    return chance.choice((0, 1, 2, 9, chance.randrange(40_000), 1 << 20, 1 << 40, (1 << 62) - 1))


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """Change, remove, repeat or insert bytes anywhere."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(4):
            case 0 if at < len(out):
                out[at] = chance.randrange(256)
            case 1:
                del out[at : at + chance.randrange(1, 9)]
            case 2:
                out[at:at] = chance.randbytes(chance.randrange(1, 9))
            case _:
                out[at:at] = out[at : at + chance.randrange(1, 64)]
    return bytes(out)


def _mutate_column(raw: bytes, chance: random.Random) -> bytes:
    """Replace, remove or repeat one number, so that the column usually stays valid."""
    starts = [0, *(i + 1 for i, byte in enumerate(raw[:-1]) if byte < 128)] if raw else [0]
    at = chance.choice(starts)
    end = next((s for s in starts if s > at), len(raw))
    match chance.randrange(4):
        case 0:
            return raw[:at] + chance.choice(_NUMBERS) + raw[end:]
        case 1:
            return raw[:at] + raw[end:]
        case 2:
            return raw[:at] + raw[at:end] * chance.randrange(2, 50) + raw[end:]
        case _:
            return mutate_bytes(raw, chance)
