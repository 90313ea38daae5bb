"""Construction of improvements: the fixed components against the baseline's, as a draft."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from repoint.delta.container import PatchEntry
from repoint.delta.sandbox.child import DecodeJob, decode_in_child
from repoint.delta.writer import PatchInput, write_patch
from repoint.fs.durable import rename_durably, write_new
from repoint.fs.scratch import scratch_folder
from repoint.model.advisory import Advisory
from repoint.model.baseline import Baseline, BaselineName, Component
from repoint.model.catalog import Catalog
from repoint.model.encoding import encode_record
from repoint.model.improvement import ImprovedComponent, Improvement, LetteredAdvisory
from repoint.publisher.baselines import baseline_folder
from repoint.publisher.catalog.catalogs import read_baseline, read_catalog, read_improvement
from repoint.publisher.catalog.claims import Corrections, claims_of
from repoint.publisher.catalog.retirement import require_in_care
from repoint.publisher.errors import NothingChangedError, UnknownBaselineError, WrongPatchError
from repoint.publisher.improve.drafts import Draft, draft_folder, next_letter, read_drafts
from repoint.publisher.improve.extensions import first_number, make_extension
from repoint.publisher.improve.fixed_tree import fixed_tree
from repoint.publisher.improve.layers import LayerComparison, layer_between
from repoint.repository import names
from repoint.repository.files import exclusive_work
from repoint.repository.repository import Repository
from repoint.tree.compare import apply_layer, changes_needing_content
from repoint.tree.digest import seal_of


@dataclass(frozen=True)
class TreePair:
    """The baseline's tree of a component and the fixed one."""

    old: Path
    new: Path


Progress = Callable[[str, int, int], None]
"""Called with the component, the bytes done and the total number of bytes."""


@dataclass(frozen=True)
class ImprovementRequest:
    """An improvement to build.

    Attributes:
        product: The product's name.
        baseline: The baseline to improve.
        sources: The fixed components, by name: folder, wheel, .deb or tar archive of each.
        advisory: What the improvement fixes.
        letter: A later letter to use instead of the next free one.
        corrections: What it changes about the claims of earlier letters.
    """

    product: str
    baseline: BaselineName
    sources: Mapping[str, Path]
    advisory: Advisory
    letter: str | None = None
    corrections: Corrections = field(default_factory=Corrections)


@dataclass(frozen=True)
class BuiltImprovement:
    """A built improvement.

    Attributes:
        draft: The finished draft.
        layers: The changes to each component.
        entries: The files in each component's patch.
    """

    draft: Draft
    layers: dict[str, LayerComparison]
    entries: dict[str, tuple[PatchEntry, ...]]


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
    product, name = request.product, request.baseline
    require_in_care(read_catalog(repository, product), name)
    baseline = read_baseline(repository, product, name)
    trees = baseline_folder(repository, product, name)
    lock = trees.with_name(f".{trees.name}.lock")
    with exclusive_work(lock, f"building an improvement of {product} {name}"):
        return _build(repository, request, baseline, created, progress)


def _build(
    repository: Repository,
    request: ImprovementRequest,
    baseline: Baseline,
    created: int,
    progress: Progress | None,
) -> BuiltImprovement:
    product, name = baseline.product, baseline.name
    catalog = read_catalog(repository, product)
    drafts = read_drafts(repository, product)
    letter = next_letter(catalog, drafts, name, request.letter)
    trees = baseline_folder(repository, product, name)
    before = _last_improvement(repository, catalog, name, drafts)
    for component_name in request.sources:
        _component(baseline, component_name)
    _require_sources(request)
    last = before.improvement if before is not None else None
    claims = claims_of(
        LetteredAdvisory(letter, request.advisory),
        last,
        _earlier_improvements(repository, catalog, name, drafts),
        request.corrections,
    )
    target = draft_folder(repository, product, name, letter)
    layers: dict[str, LayerComparison] = {}
    entries: dict[str, tuple[PatchEntry, ...]] = {}
    improved: dict[str, ImprovedComponent] = {}
    contents: dict[str, Callable[[str], Path]] = {}
    # Unpublished fixes are confidential.
    with scratch_folder(target, mode=0o700) as folder:
        draft = folder / "draft"
        draft.mkdir()
        for kept in _inherit(repository, baseline, before, set(request.sources), draft):
            improved[kept.name] = kept
        for component_name, source in request.sources.items():
            component = _component(baseline, component_name)
            pair = TreePair(trees / component_name, folder / f"tree-{component_name}")
            system = baseline.system is not None
            fixed = fixed_tree(source, pair.new, component, system=system)
            comparison = layer_between(pair.old, component.entries, pair.new, fixed)
            patch = draft / f"{component_name}.patch"
            report = None if progress is None else functools.partial(progress, component_name)
            entries[component_name] = _encode(comparison, pair, patch, report)
            layers[component_name] = comparison
            improved[component_name] = ImprovedComponent(
                name=component_name,
                seal=comparison.seal,
                layer=comparison.layer,
                patch_size=patch.stat().st_size if patch.exists() else 0,
            )
            contents[component_name] = _verify_patch(
                component, improved[component_name], pair.old, patch,
                folder / f"decoded-{component_name}",
            )  # fmt: skip
        if all(component.seal == _component(baseline, component.name).seal
               for component in improved.values()):  # fmt: skip
            raise NothingChangedError(
                f"The fixed components are the same as in {product} {name}",
                hint="Name the component that holds the fix",
            )
        for component_name in dict.fromkeys(fix.component for fix in request.advisory.fixes):
            _require_change(improved[component_name], baseline)
        improvement = Improvement(
            format="1.0",
            product=product,
            baseline=name,
            letter=letter,
            created=max(created, (before.improvement.created + 1) if before else 0),
            advisories=claims.advisories,
            components=tuple(improved[each] for each in sorted(improved)),
            dropped=claims.dropped,
            renamed=claims.renamed,
        )
        if baseline.system is not None:
            for kept in improved.values():
                if kept.name not in contents:
                    contents[kept.name] = _verify_patch(
                        _component(baseline, kept.name), kept, trees / kept.name,
                        draft / f"{kept.name}.patch", folder / f"decoded-{kept.name}",
                    )  # fmt: skip
            first = first_number(repository, baseline, baseline.system, drafts)
            extension = make_extension(baseline, baseline.system, improvement, contents, first)
            improvement = msgspec.structs.replace(improvement, extension=extension)
        write_new(draft / "improvement.json", encode_record(improvement))
        rename_durably(draft, target)
    return BuiltImprovement(Draft(improvement, target), layers, entries)


def _last_improvement(
    repository: Repository, catalog: Catalog, baseline: BaselineName, drafts: list[Draft]
) -> Draft | None:
    """Return the improvement that the next one extends: the last draft, or the last one offered."""
    own = [draft for draft in drafts if draft.improvement.baseline == baseline]
    if own:
        return own[-1]
    live = [offer for offer in catalog.offers_for(baseline) if offer.state != "withdrawn"]
    if not live:
        return None
    last = read_improvement(repository, catalog.product, baseline, live[-1].letter)
    return Draft(last, Path())


def _earlier_improvements(
    repository: Repository, catalog: Catalog, baseline: BaselineName, drafts: list[Draft]
) -> list[Improvement]:
    """Return every letter of a baseline, also those that are withdrawn or not published yet."""
    published = [
        read_improvement(repository, catalog.product, baseline, offer.letter)
        for offer in catalog.offers_for(baseline)
    ]
    own = [d.improvement for d in drafts if d.improvement.baseline == baseline]
    return [*published, *own]


def _require_sources(request: ImprovementRequest) -> None:
    """Refuse an advisory for a component that this improvement does not change."""
    for number, fix in enumerate(request.advisory.fixes, 1):
        if fix.component not in request.sources:
            raise NothingChangedError(
                f"Fix {number} of the advisory is for {fix.component}, which this improvement does "
                "not change",
                hint=f"Name the fixed {fix.component} with --component, or correct the advisory",
            )


def _require_change(improved: ImprovedComponent, baseline: Baseline) -> None:
    # The same tree as in the letter before is fit: its advisory may have lacked the fix.
    if improved.seal == _component(baseline, improved.name).seal:
        raise NothingChangedError(
            f"The advisory has a fix for {improved.name}, which is the same as in {baseline.name}",
            hint=f"Name the fixed {improved.name} with --component, or correct the advisory",
        )


def _inherit(
    repository: Repository,
    baseline: Baseline,
    before: Draft | None,
    fixed: set[str],
    draft: Path,
) -> list[ImprovedComponent]:
    kept = [c for c in (before.improvement.components if before else ()) if c.name not in fixed]
    for component in kept:
        if component.patch_size and before is not None:
            letter = before.improvement.letter
            path = names.patch_path(baseline.product, baseline.name, letter, component.name)
            data = (
                before.patch(component.name).read_bytes()
                if before.folder != Path()
                else repository.read_target(path)
            )
            write_new(draft / f"{component.name}.patch", data)
    return kept


def _component(baseline: Baseline, name: str) -> Component:
    component = baseline.component(name)
    if component is None:
        known = ", ".join(c.name for c in baseline.components)
        raise UnknownBaselineError(
            f"{baseline.product} {baseline.name} has no component {name}",
            hint=f"Its components are: {known}",
        )
    return component


def _encode(
    comparison: LayerComparison,
    pair: TreePair,
    patch: Path,
    progress: Callable[[int, int], None] | None,
) -> tuple[PatchEntry, ...]:
    inputs = [
        PatchInput(
            name=change.entry.path,
            new=pair.new / change.entry.path,
            source=change.source,
            old=pair.old / change.source if change.source else None,
        )
        for change in comparison.needing_content
    ]
    return write_patch(patch, inputs, progress=progress) if inputs else ()


def _verify_patch(
    component: Component, improved: ImprovedComponent, old: Path, patch: Path, folder: Path
) -> Callable[[str], Path]:
    """Decode a patch as a device does, so that no device is the first to try it.

    Returns:
        A function that returns the file with the content of a changed path.

    Raises:
        WrongPatchError: The patch does not give the improved tree.
    """
    folder.mkdir()
    layer = improved.layer
    jobs = [
        DecodeJob(
            name=change.entry.path,
            source=old / change.source if change.source else None,
            size=change.entry.size,
            sha256=change.entry.sha256,
        )
        for change in changes_needing_content(component.entries, layer)
    ]
    if jobs:
        # The child checks the digest of every file, and with the layer the digests give the seal.
        decode_in_child(patch, jobs, folder)
    if seal_of(apply_layer(component.entries, layer)) != improved.seal:
        raise WrongPatchError(f"The patch for {component.name} does not give the improved tree")
    files = {change.entry.path: old / change.source for change in layer.changes}
    files |= {job.name: folder / str(number) for number, job in enumerate(jobs)}
    return files.__getitem__
