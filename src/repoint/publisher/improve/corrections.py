"""Which corrections of a run concern which baseline.

One command works on many baselines, and a letter may have been withdrawn on some of them only. What
is given up there is inherited elsewhere, so a correction is applied only where there is something
to correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from repoint.model.improvement import LetteredAdvisory
from repoint.publisher.catalog.claims import Corrections, claims_in, would_lose
from repoint.publisher.improve.inheritance import read_lineage
from repoint.publisher.improve.request import ImprovementRequest
from repoint.repository.repository import Repository


@dataclass(frozen=True)
class _Standing:
    """What a baseline's letters fix, and what its next one would lose of it."""

    fixed: set[str]
    lost: set[str]


def settled(
    repository: Repository, requests: Sequence[ImprovementRequest]
) -> list[ImprovementRequest]:
    """Return the requests, each with the corrections that concern its baseline.

    A correction that concerns none of them stays in all, so that it is refused.
    """
    corrections = [each.corrections for each in requests]
    if not any(each.dropped or each.retracted or each.renamed for each in corrections):
        return list(requests)
    standings = [_standing(repository, request) for request in requests]
    fixed_somewhere = set().union(*(each.fixed for each in standings))
    lost_somewhere = set().union(*(each.lost for each in standings))
    return [
        _settled(request, standing, fixed_somewhere, lost_somewhere)
        for request, standing in zip(requests, standings, strict=True)
    ]


def _standing(repository: Repository, request: ImprovementRequest) -> _Standing:
    lineage = read_lineage(repository, request.product, request.baseline, replace=request.replace)
    fixed = {claim.name for each in lineage.earlier for claim in claims_in(each)}
    renamed = {old: new for old, new in request.corrections.renamed.items() if old in fixed}
    own = LetteredAdvisory("z", request.advisory)
    last = lineage.before.improvement if lineage.before is not None else None
    return _Standing(fixed, would_lose(own, last, lineage.earlier, renamed))


def _settled(
    request: ImprovementRequest,
    standing: _Standing,
    fixed_somewhere: set[str],
    lost_somewhere: set[str],
) -> ImprovementRequest:
    wanted, advised = request.corrections, request.advisory.cves()
    needless = {
        name
        for name in wanted.dropped
        if name in lost_somewhere and name not in standing.lost and name not in advised
    }

    def concerns(name: str) -> bool:
        return name in standing.fixed or name not in fixed_somewhere

    return replace(
        request,
        corrections=Corrections(
            tuple(name for name in wanted.dropped if name not in needless),
            {old: new for old, new in wanted.renamed.items() if concerns(old)},
            tuple(name for name in wanted.retracted if concerns(name)),
        ),
        kept=tuple(name for name in wanted.dropped if name in needless & standing.fixed),
    )
