"""Which members changed, and the best old member to encode each of them against."""

from __future__ import annotations

import hashlib

from repoint.delta.errors import PatchError
from repoint.delta.members.rebuild import inflate
from repoint.delta.members.scan import FoundMember
from repoint.delta.similar import best_sources, plain_name

_MOST_COMPARED = 256 << 20
"""Bytes of contents that are compared at most to find old members for those without a name."""


def pair_members(
    old: memoryview, new: memoryview, olds: list[FoundMember], news: list[FoundMember]
) -> list[tuple[FoundMember, FoundMember | None]]:
    """Return each new member that the old file does not contain unchanged, with an old member."""
    known = {_digest(old, each) for each in olds}
    changed = [each for each in news if _digest(new, each) not in known]
    by_name = {each.name: each for each in olds if each.name}
    by_plain_name = {plain_name(name): each for name, each in by_name.items()}
    pairs: dict[FoundMember, FoundMember | None] = {}
    for each in changed:
        pairs[each] = by_name.get(each.name) or by_plain_name.get(plain_name(each.name))
    taken = set(pairs.values())
    unpaired = [each for each in changed if pairs[each] is None]
    rest = [each for each in olds if each not in taken]
    pairs |= _similar(old, new, rest, unpaired)
    return list(pairs.items())


def content_of(data: memoryview, member: FoundMember) -> bytes:
    """Return the content of a member.

    Raises:
        PatchError: The member is damaged, or does not have the declared size.
    """
    packed = data[member.start : member.start + member.length]
    return inflate(packed, member.size) if member.packed else bytes(packed)


def _similar(
    old: memoryview, new: memoryview, olds: list[FoundMember], news: list[FoundMember]
) -> dict[FoundMember, FoundMember | None]:
    """Return for new members the old members with the most similar content."""
    if not olds or sum(each.size for each in [*olds, *news]) > _MOST_COMPARED:
        return {}
    old_names = {f"{each.name}#{i}": each for i, each in enumerate(olds)}
    new_names = {f"{each.name}#{i}": each for i, each in enumerate(news)}
    try:
        best = best_sources(
            {name: content_of(new, each) for name, each in new_names.items()},
            {name: content_of(old, each) for name, each in old_names.items()},
        )
    except PatchError:
        return {}
    return {new_names[name]: old_names[source] for name, source in best.items()}


def _digest(data: memoryview, member: FoundMember) -> tuple[bytes, bool]:
    packed = data[member.start : member.start + member.length]
    return hashlib.sha256(packed).digest(), member.packed
