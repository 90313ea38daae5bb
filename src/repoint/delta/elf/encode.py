"""Old file and new file to payload."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.common import layout
from repoint.delta.elf.common.address_map import AddressMap, map_from
from repoint.delta.elf.common.arrays import I64, U64, Bool, Bytes, concat
from repoint.delta.elf.common.copies import Copies
from repoint.delta.elf.common.layout import Layout
from repoint.delta.elf.matching import image, match
from repoint.delta.elf.payload.columns import pack, zigzag
from repoint.delta.elf.payload.records import DerivedRule, Moves, sent_ranges
from repoint.delta.elf.payload.streams import Streams
from repoint.delta.elf.prediction import derived, overrides
from repoint.delta.elf.prediction.predict import UsedRefs, copy, used_references
from repoint.delta.elf.references.extract import all_references
from repoint.delta.elf.references.kinds import FIELD_MASK, KINDS, Refs, groups, read_field
from repoint.delta.errors import PatchError

_FIELD_LIMIT = 1 << 61


@dataclass(frozen=True)
class _Pair:
    """Both files. In `new`, parts that are derived are zero: what becomes of them is irrelevant."""

    old: Bytes
    old_layout: Layout
    new: Bytes
    new_layout: Layout
    rules: list[DerivedRule]

    def not_derived(self, at: I64) -> Bool:
        """Return which offsets of the new file lie outside of derived parts."""
        keep = np.ones(len(at), np.bool_)
        for start, end in map(derived.body, self.rules):
            keep &= (at < start) | (at >= end)
        return keep


def encode(old: Bytes, new: Bytes) -> Streams:
    """Return the streams of a payload.

    Raises:
        UnsupportedFileError: One of the files is not an ELF file that this codec reads.
    """
    old_layout, new_layout = layout.parse(old), layout.parse(new)
    rules = _derivable(new, new_layout)
    sent = np.array(new)
    for start, end in map(derived.body, rules):
        sent[start:end] = 0
    pair = _Pair(old, old_layout, sent, new_layout, rules)
    return _describe(pair, _find_copies(pair))


def _derivable(new: Bytes, layout: Layout) -> list[DerivedRule]:
    """Return the parts of the new file that the decoder can derive exactly."""
    good, trial = [], np.array(new)
    for rule in derived.candidates(layout):
        try:
            derived.fill(trial, rule)
        except PatchError:
            continue
        start, end = derived.body(rule)
        if np.array_equal(trial[start:end], new[start:end]):
            good.append(rule)
        trial[start:end] = new[start:end]
    return good


def _find_copies(pair: _Pair) -> Copies:
    """Match by content, then once more with references labelled by their real targets."""
    old, new = pair.old, pair.new
    copies = match.match(_by_content(old, pair.old_layout), _by_content(new, pair.new_layout))
    move = _map(pair, copies).changed(*_corrections(pair, copies))
    old_image = _by_target(old, pair.old_layout, move)
    return match.refine(old_image, _by_target(new, pair.new_layout, None), copies)


def _by_content(data: Bytes, layout: Layout) -> Bytes:
    """Return an image in which references are labelled by the content at their targets."""
    refs = all_references(data, layout)
    return image.labelled(data, refs, image.fingerprints(data, layout, refs))


def _by_target(data: Bytes, layout: Layout, move: AddressMap | None) -> Bytes:
    """Return an image in which references are labelled by their targets in the new file."""
    refs = all_references(data, layout)
    return image.labelled(data, refs, _target_labels(refs, move))


def _target_labels(refs: Refs, move: AddressMap | None) -> U64:
    """Return labels that are equal where the reference will be predicted correctly."""
    target = move(refs.target) if move else refs.target
    base = np.where(refs.base == 0, 0, move(refs.base) if move else refs.base)
    return image.target_labels(refs, target - base)


def _map(pair: _Pair, copies: Copies) -> AddressMap:
    """Return the address map that the copies imply, without corrections."""
    return map_from(copies, pair.old_layout, pair.new_layout.cuts, pair.new_layout.shift)


def _corrections(pair: _Pair, copies: Copies) -> Moves:
    """Return the corrections of the address map that the used references call for."""
    move = _map(pair, copies)
    target, delta = [], []
    for used in _used(pair, copies):
        value = used.values(move)
        target.append(used.refs.target)
        delta.append(overrides.missing_moves(used.refs, value, _actual(pair.new, used)))
    return overrides.choose(concat(target, np.int64), concat(delta, np.int64))


def _used(pair: _Pair, copies: Copies) -> Iterator[UsedRefs]:
    cuts, shift = pair.new_layout.cuts, pair.new_layout.shift
    return used_references(pair.old, pair.old_layout, copies, cuts, shift)


def _actual(new: Bytes, used: UsedRefs) -> U64:
    """Return the numbers in the fields of the new file."""
    out = np.zeros(len(used.pos), np.uint64)
    for code, index in groups(used.refs.kind):
        out[index] = read_field(new, KINDS[code], code, used.pos[index])
    return out


def _describe(pair: _Pair, copies: Copies) -> Streams:
    """Return everything that the decoder needs besides the old file, given the copies."""
    new, new_size = pair.new, len(pair.new)
    moves = _corrections(pair, copies)
    guess = np.array(new)
    copy(pair.old, guess, copies)
    fixes, fix_value = _predict(pair, copies, _map(pair, copies).changed(*moves), guess)
    end = copies.new + copies.length
    for a, b in zip([0, *end.tolist()], [*copies.new.tolist(), new_size], strict=True):
        guess[a:b] = new[a:b]
    for a, b in map(derived.body, pair.rules):
        guess[a:b] = new[a:b]
    swap_start, swap_end = _swaps(np.flatnonzero(guess != new))
    start, stop = sent_ranges(copies, (swap_start, swap_end), new_size)
    sent = [new[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
    for a, b in zip(swap_start.tolist(), swap_end.tolist(), strict=True):
        guess[a:b] = new[a:b]
    at = np.flatnonzero(guess != new)
    cuts, shift = pair.new_layout.cuts, pair.new_layout.shift
    return Streams(
        layout=pack(np.stack([np.diff(cuts, prepend=0), _steps(shift)], 1).ravel()),
        derived=pack(zigzag(np.array(pair.rules, np.int64).ravel())),
        copy_gap=pack(copies.new - np.concatenate([[0], end])[:-1]),
        copy_length=pack(copies.length),
        copy_from=pack(zigzag(np.diff(copies.old, prepend=0) - _before(copies.length))),
        move_gap=pack(np.diff(moves[0], prepend=0) - _before(moves[1] - moves[0])),
        move_length=pack(moves[1] - moves[0]),
        move_delta=pack(zigzag(moves[2])),
        fix_gap=pack(np.diff(fixes, prepend=-1) - 1),
        fix_value=pack(fix_value),
        swap_gap=pack(swap_start - np.concatenate([[0], swap_end])[: len(swap_start)]),
        swap_length=pack(swap_end - swap_start),
        rest_gap=pack(np.diff(at, prepend=-1) - 1),
        rest_value=(new[at] - guess[at]).tobytes(),
        new_bytes=concat(sent, np.uint8).tobytes(),
    )


def _predict(pair: _Pair, copies: Copies, move: AddressMap, guess: Bytes) -> tuple[I64, U64]:
    """Write the predicted and corrected references into `guess`; return the corrections.

    Corrections are (number of the used reference, code).
    """
    fix_at, fix_value, number = [], [], 0
    for used in _used(pair, copies):
        value = used.values(move)
        at, code = _fixes(pair, used, value)
        needed = pair.not_derived(used.pos[at])
        at, code = at[needed], code[needed]
        fix_at.append(at + number)
        fix_value.append(code)
        number += len(value)
        keep = np.ones(len(value), np.bool_)
        keep[at[code == 0]] = False
        corrected = value.copy()
        corrected[at] = _actual(pair.new, used)[at]
        used.write(guess, np.where(keep, corrected, value), np.flatnonzero(keep))
    return concat(fix_at, np.int64), concat(fix_value, np.uint64)


def _fixes(pair: _Pair, used: UsedRefs, value: U64) -> tuple[I64, U64]:
    """Return (index, code) of wrong predictions; code 0 leaves the old bytes."""
    actual = _actual(pair.new, used)
    wrong = np.flatnonzero(value != actual)
    code = correction(actual[wrong] - value[wrong], FIELD_MASK[used.refs.kind[wrong]])
    before = np.zeros(len(wrong), np.uint64)
    for kind, index in groups(used.refs.kind[wrong]):
        before[index] = read_field(pair.old, KINDS[kind], kind, used.refs.pos[wrong][index])
    code[before == actual[wrong]] = 0
    return wrong, code


def correction(delta: U64, mask: U64) -> U64:
    """Return codes that add `delta` within the field `mask`; 0 if a code would be too large."""
    signed = (delta & mask).view(np.int64)
    half, full = (mask >> np.uint64(1)).view(np.int64), mask.view(np.int64)
    signed = np.where((signed > half) & (full > 0), signed - full - 1, signed)
    fits = (signed <= _FIELD_LIMIT) & (signed >= -_FIELD_LIMIT)
    return np.where(fits, zigzag(signed), np.uint64(0))


def _swaps(at: I64) -> tuple[I64, I64]:
    """Return ranges in which so many bytes are wrong that sending all of them costs less.

    In a patch, a wrong byte costs about 1.4 bytes, a sent byte 0.8, and a range 2.5.
    """
    if not len(at):
        return at, at
    first = np.flatnonzero(np.diff(at, prepend=-100) > 4)
    last = np.append(first[1:], len(at)) - 1
    start, end, wrong = at[first], at[last] + 1, last - first + 1
    worth_it = 1.4 * wrong > 2.5 + 0.8 * (end - start)
    return start[worth_it], end[worth_it]


def _steps(shift: I64) -> I64:
    return zigzag(np.diff(shift, prepend=0)).view(np.int64)


def _before(values: I64) -> I64:
    """Return for each entry the value of the one before, 0 for the first."""
    return np.concatenate([[0], values[:-1]])[: len(values)]
