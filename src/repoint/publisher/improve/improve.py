"""Construction of improvements: the fixed components against the baseline's, as a draft."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from repoint.delta.container import PatchEntry, read_header
from repoint.fs.durable import write_new
from repoint.model.encoding import encode_record
from repoint.model.improvement import ImprovedComponent, Improvement
from repoint.publisher.improve.drafts import Draft, draft_folder
from repoint.publisher.improve.extensions import first_number, make_extension
from repoint.publisher.improve.inheritance import inherit
from repoint.publisher.improve.patches import PatchStore, Work, make_patch, verify_patch
from repoint.publisher.improve.placement import put_draft
from repoint.publisher.improve.prepare import Prepared, component_of, prepared
from repoint.publisher.improve.request import BuiltImprovement, ImprovementRequest, Progress
from repoint.repository.repository import Repository


def improve(
    repository: Repository,
    request: ImprovementRequest,
    *,
    created: int,
    progress: Progress | None = None,
) -> BuiltImprovement:
    """Build the next improvement of a baseline, as a draft.

    It is cumulative: the layers of other components and the advisories are inherited from the last
    improvement. Every patch is decoded and compared with the improved tree before the draft
    appears, by one rename.

    Args:
        repository: The vendor's repository.
        request: What to build.
        created: Seconds since 1970.
        progress: Called while the patch of a component is made.

    Raises:
        LostFixesError: It would lose fixes of earlier letters.
        NothingChangedError: The components are the baseline's, or the advisory names a component
            that does not change.
        RepointError: A source is unfit, the letter is already used, a component is not part of the
            baseline, no image can hold the changes, or another process builds an improvement of
            the baseline.
    """
    store = PatchStore(repository, request.product)
    work = Work(store, None, progress or _silent)
    with prepared(repository, request) as ready:
        built = build(repository, ready, created, work)
    store.clear()
    return built


def build(repository: Repository, ready: Prepared, created: int, work: Work) -> BuiltImprovement:
    """Build a prepared improvement, as a draft.

    Args:
        repository: The vendor's repository.
        ready: What to build, of the state ``new``.
        created: Seconds since 1970.
        work: How its patches are made.

    Raises:
        RepointError: A file cannot be encoded, or no image can hold the changes.
    """
    assert ready.claims is not None  # noqa: S101 - whatever is new has claims
    baseline, before = ready.baseline, ready.before
    draft = ready.folder / "draft"
    draft.mkdir()
    entries: dict[str, tuple[PatchEntry, ...]] = {}
    contents: dict[str, Callable[[str], Path]] = {}
    seals = before.improvement.seals() if before is not None else {}
    # The letter before may have the same tree, and another advisory: its patch serves again.
    fixed = {name for name, layer in ready.layers.items() if seals.get(name) != layer.seal}
    inherited = inherit(repository, baseline, before, fixed, draft)
    if ready.replaced is not None:
        # So may the draft that is replaced, if only its advisory was wrong.
        parts = ready.replaced.improvement.components
        same = {p.name for p in parts if p.name in fixed and p.seal == ready.layers[p.name].seal}
        others = {part.name for part in parts} - same
        inherited += inherit(repository, baseline, ready.replaced, others, draft)
        fixed -= same
    improved = {kept.name: kept for kept in inherited}
    for name, comparison in ready.layers.items():
        component, patch = component_of(baseline, name), draft / f"{name}.patch"
        if name not in fixed:
            entries[name] = read_header(patch).entries if patch.exists() else ()
            continue
        entries[name], contents[name] = make_patch(
            component, comparison, ready.pair(name), patch, work
        )
        length = patch.stat().st_size if patch.exists() else 0
        improved[name] = ImprovedComponent(name, comparison.seal, comparison.layer, length)
    improvement = Improvement(
        format="1.0",
        product=baseline.product,
        baseline=baseline.name,
        letter=ready.letter,
        created=max(created, (before.improvement.created + 1) if before else 0),
        advisories=ready.claims.advisories,
        components=tuple(improved[each] for each in sorted(improved)),
        dropped=ready.claims.dropped,
        renamed=ready.claims.renamed,
    )
    for kept in inherited:
        if baseline.system is None and kept.name not in ready.layers:
            continue
        contents[kept.name] = verify_patch(
            component_of(baseline, kept.name), kept, ready.pair(kept.name).old,
            draft / f"{kept.name}.patch", ready.folder / f"decoded-{kept.name}",
        )  # fmt: skip
    if baseline.system is not None:
        first = first_number(repository, baseline, baseline.system, ready.drafts)
        extension = make_extension(baseline, baseline.system, improvement, contents, first)
        improvement = msgspec.structs.replace(improvement, extension=extension)
    write_new(draft / "improvement.json", encode_record(improvement))
    target = draft_folder(repository, baseline.product, baseline.name, ready.letter)
    put_draft(repository, draft, target, ready.replaced)
    return BuiltImprovement(Draft(improvement, target), ready.layers, entries)


def _silent(_component: str, _done: int, _total: int) -> None: ...
