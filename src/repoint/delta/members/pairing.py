"""Which members changed, and which old member each of them is best made from."""

from __future__ import annotations

import hashlib

from repoint.delta.errors import PatchError
from repoint.delta.members.rebuild import inflate
from repoint.delta.members.scan import FoundMember
from repoint.delta.similar import best_sources, plain_name

_MOST_COMPARED = 256 << 20
"""Bytes of contents that are looked at to find the old member, where no name says it."""


def pairs(
    old: memoryview, new: memoryview, olds: list[FoundMember], news: list[FoundMember]
) -> list[tuple[FoundMember, FoundMember | None]]:
    """Each member of the new file that the old one does not have as it is, with an old member."""
    known = {_digest(old, each) for each in olds}
    changed = [each for each in news if _digest(new, each) not in known]
    by_name = {each.name: each for each in olds if each.name}
    by_plain_name = {plain_name(name): each for name, each in by_name.items()}
    found: dict[FoundMember, FoundMember | None] = {}
    for each in changed:
        found[each] = by_name.get(each.name) or by_plain_name.get(plain_name(each.name))
    taken = set(found.values())
    nameless = [each for each in changed if found[each] is None]
    rest = [each for each in olds if each not in taken]
    found |= _alike(old, new, rest, nameless)
    return list(found.items())


def content(data: memoryview, member: FoundMember) -> bytes:
    """What a member holds.

    Raises:
        PatchError: It does not hold what its container says.
    """
    packed = data[member.start : member.start + member.length]
    return inflate(packed, member.size) if member.packed else bytes(packed)


def _alike(
    old: memoryview, new: memoryview, olds: list[FoundMember], news: list[FoundMember]
) -> dict[FoundMember, FoundMember | None]:
    """Old members that have most of what new ones have."""
    if not olds or sum(each.size for each in [*olds, *news]) > _MOST_COMPARED:
        return {}
    old_names = {f"{each.name}#{i}": each for i, each in enumerate(olds)}
    new_names = {f"{each.name}#{i}": each for i, each in enumerate(news)}
    try:
        best = best_sources(
            {name: content(new, each) for name, each in new_names.items()},
            {name: content(old, each) for name, each in old_names.items()},
        )
    except PatchError:
        return {}
    return {new_names[name]: old_names[source] for name, source in best.items()}


def _digest(data: memoryview, member: FoundMember) -> tuple[bytes, bool]:
    packed = data[member.start : member.start + member.length]
    return hashlib.sha256(packed).digest(), member.packed
