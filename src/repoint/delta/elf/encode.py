"""Old file + new file -> payload."""

import numpy as np

from repoint.delta.elf import derived, extract, image, layout, match, overrides, streams
from repoint.delta.elf.arrays import I64, U64, Bytes, concat
from repoint.delta.elf.columns import pack, zigzag
from repoint.delta.elf.decode import FIELD_MASK, address_map, fresh_ranges
from repoint.delta.elf.kinds import KINDS, Refs, groups, read_field
from repoint.delta.elf.layout import Layout
from repoint.delta.elf.moves import AddressMap, Copies, map_from
from repoint.delta.elf.predict import Used, copy, used
from repoint.delta.errors import PatchError

_NO_MOVES = (np.zeros(0, np.int64),) * 3
_FIELD_LIMIT = 1 << 61


def encode(old: Bytes, new: Bytes) -> streams.Streams:
    """Return the streams of a patch; `NotSupported` when a file is no ELF file for us."""
    old_layout, new_layout = layout.parse(old), layout.parse(new)
    rules = _derivable(new, new_layout)
    sent = np.array(new)
    for rule in rules:
        start, end = derived.body(rule)
        sent[start:end] = 0
    copies = find_copies(old, old_layout, sent, new_layout)
    return describe(old, old_layout, sent, new_layout, copies, rules)


def _derivable(new: Bytes, layout: Layout) -> list[derived.Rule]:
    """Return the parts of the new file that need not be sent."""
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


def find_copies(old: Bytes, old_layout: Layout, new: Bytes, new_layout: Layout) -> Copies:
    """Match by content, then once more with references labelled by where they really go."""
    copies = match.match(_by_content(old, old_layout), _by_content(new, new_layout))
    cuts, shift = new_layout.cuts, new_layout.shift
    moves = _moves(old, old_layout, new, copies, cuts, shift)
    move = address_map(copies, old_layout, cuts, shift, moves)
    one, two = _by_target(old, old_layout, move), _by_target(new, new_layout, None)
    return match.refine(one, two, copies)


def _by_content(data: Bytes, layout: Layout) -> Bytes:
    """Return an image in which references stand for what is at their targets."""
    refs = extract.everything(data, layout)
    return image.labelled(data, refs, image.fingerprints(data, layout, refs))


def _by_target(data: Bytes, layout: Layout, move: AddressMap | None) -> Bytes:
    """Return an image in which references stand for the new addresses of their targets."""
    refs = extract.everything(data, layout)
    return image.labelled(data, refs, _label(refs, move))


def _label(refs: Refs, move: AddressMap | None) -> U64:
    """Labels that are equal where the reference will be predicted rightly."""
    target = move(refs.target) if move else refs.target
    base = np.where(refs.base == 0, 0, move(refs.base) if move else refs.base)
    return image.mapped(refs, target - base)


def _moves(
    old: Bytes, old_layout: Layout, new: Bytes, copies: Copies, cuts: I64, shift: I64
) -> tuple[I64, I64, I64]:
    """Corrections of the address map, from what the used references say."""
    move = map_from(copies, old_layout, cuts, shift)
    target, delta = [], []
    for use in used(old, old_layout, copies, cuts, shift):
        value = use.values(move)
        target.append(use.refs.target)
        delta.append(overrides.wanted(use.refs, value, actual(new, use)))
    return overrides.choose(concat(target, np.int64), concat(delta, np.int64))


def actual(new: Bytes, use: Used) -> U64:
    """Return what really stands in the fields of the new file."""
    out = np.zeros(len(use.pos), np.uint64)
    for code, who in groups(use.refs.kind):
        out[who] = read_field(new, KINDS[code], code, use.pos[who])
    return out


def describe(
    old: Bytes,
    old_layout: Layout,
    new: Bytes,
    new_layout: Layout,
    copies: Copies,
    rules: list[derived.Rule],
) -> streams.Streams:
    """Everything the decoder needs besides the old file, given the copies.

    In `new` the parts that `rules` derive are zero; what becomes of them does not matter.
    """
    free = [derived.body(rule) for rule in rules]
    cuts, shift = new_layout.cuts, new_layout.shift
    moves = _moves(old, old_layout, new, copies, cuts, shift)
    move = address_map(copies, old_layout, cuts, shift, moves)
    guess = np.array(new)
    copy(old, guess, copies)
    fix_at, fix_value, seen = [], [], 0
    for use in used(old, old_layout, copies, cuts, shift):
        value = use.values(move)
        at, code = _fixes(old, new, use, value)
        for a, b in free:
            needed = (use.pos[at] < a) | (use.pos[at] >= b)
            at, code = at[needed], code[needed]
        fix_at.append(at + seen)
        fix_value.append(code)
        seen += len(value)
        keep = np.ones(len(value), np.bool_)
        keep[at[code == 0]] = False
        true = value.copy()
        true[at] = actual(new, use)[at]
        use.write(guess, np.where(keep, true, value), np.flatnonzero(keep))
    end = copies.new + copies.length
    for a, b in zip([0, *end.tolist()], [*copies.new.tolist(), len(new)], strict=True):
        guess[a:b] = new[a:b]
    for a, b in free:
        guess[a:b] = new[a:b]
    swap_start, swap_end = _swaps(np.flatnonzero(guess != new))
    start, stop = fresh_ranges(copies, (swap_start, swap_end), len(new))
    fresh = [new[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
    for a, b in zip(swap_start.tolist(), swap_end.tolist(), strict=True):
        guess[a:b] = new[a:b]
    at = np.flatnonzero(guess != new)
    fixes = concat(fix_at, np.int64)
    before = np.concatenate([[0], copies.length[:-1]])[: len(copies)]
    from_ = np.diff(copies.old, prepend=0) - before
    return streams.Streams(
        layout=pack(np.stack([np.diff(cuts, prepend=0), _steps(shift)], 1).ravel()),
        derived=pack(zigzag(np.array(rules, np.int64).ravel())),
        copy_gap=pack(copies.new - np.concatenate([[0], end])[:-1]),
        copy_length=pack(copies.length),
        copy_from=pack(zigzag(from_)),
        move_gap=pack(np.diff(moves[0], prepend=0) - _lengths(moves)),
        move_length=pack(moves[1] - moves[0]),
        move_delta=pack(zigzag(moves[2])),
        fix_gap=pack(np.diff(fixes, prepend=-1) - 1),
        fix_value=pack(concat(fix_value, np.uint64)),
        swap_gap=pack(swap_start - np.concatenate([[0], swap_end])[: len(swap_start)]),
        swap_length=pack(swap_end - swap_start),
        rest_gap=pack(np.diff(at, prepend=-1) - 1),
        rest_value=(new[at] - guess[at]).tobytes(),
        new_bytes=concat(fresh, np.uint8).tobytes(),
    )


def _swaps(at: I64) -> tuple[I64, I64]:
    """Ranges where so many bytes are wrong that sending all of them costs less.

    A wrong byte costs about 1.4 bytes of a patch, a sent one 0.8, a range of those 2.5.
    """
    if not len(at):
        return at, at
    first = np.flatnonzero(np.diff(at, prepend=-100) > 4)
    last = np.append(first[1:], len(at)) - 1
    start, end, wrong = at[first], at[last] + 1, last - first + 1
    dear = 1.4 * wrong > 2.5 + 0.8 * (end - start)
    return start[dear], end[dear]


def _steps(shift: I64) -> I64:
    return zigzag(np.diff(shift, prepend=0)).view(np.int64)


def _lengths(moves: tuple[I64, I64, I64]) -> I64:
    """Return the length of the entry before each."""
    return np.concatenate([[0], (moves[1] - moves[0])[:-1]])[: len(moves[0])]


def _fixes(old: Bytes, new: Bytes, use: Used, value: U64) -> tuple[I64, U64]:
    """(index, code) of the references whose prediction is wrong; code 0 leaves the old bytes."""
    true = actual(new, use)
    wrong = np.flatnonzero(value != true)
    code = correction(true[wrong] - value[wrong], FIELD_MASK[use.refs.kind[wrong]])
    before = np.zeros(len(wrong), np.uint64)
    for kind, who in groups(use.refs.kind[wrong]):
        before[who] = read_field(old, KINDS[kind], kind, use.refs.pos[wrong][who])
    code[before == true[wrong]] = 0
    return wrong, code


def correction(delta: U64, mask: U64) -> U64:
    """Codes that add `delta` within the field `mask`; 0 where the number would be too large."""
    signed = (delta & mask).view(np.int64)
    half, full = (mask >> np.uint64(1)).view(np.int64), mask.view(np.int64)
    signed = np.where((signed > half) & (full > 0), signed - full - 1, signed)
    fits = (signed <= _FIELD_LIMIT) & (signed >= -_FIELD_LIMIT)
    return np.where(fits, zigzag(signed), np.uint64(0))
