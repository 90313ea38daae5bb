"""Building an improvement: the fixed component against the baseline's, as a draft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from repoint.delta.container import PatchEntry, PatchInput, write_patch
from repoint.delta.sandbox.child import DecodeJob, decode_in_child
from repoint.fs.durable import sync
from repoint.fs.scratch import scratch_folder
from repoint.model.advisory import Advisory
from repoint.model.baseline import Baseline, BaselineName, Component
from repoint.model.encoding import encode_record
from repoint.model.improvement import ImprovedComponent, Improvement, LetteredAdvisory
from repoint.model.tree import Layer
from repoint.publisher.baselines import baseline_folder
from repoint.publisher.catalogs import read_baseline, read_catalog, read_improvement
from repoint.publisher.drafts import Draft, draft_folder, next_letter, read_drafts
from repoint.publisher.errors import NothingChangedError, UnknownBaselineError, WrongPatchError
from repoint.publisher.extensions import first_number, make_extension
from repoint.publisher.ingest import unpack_source
from repoint.publisher.layers import Layered, layer_between
from repoint.repository import names
from repoint.repository.repository import Repository
from repoint.tree.compare import apply_layer, changes_needing_content
from repoint.tree.digest import seal_of
from repoint.tree.scan import scan_tree

Progress = Callable[[str, int, int], None]
"""Told the component, and the bytes done of the bytes to do."""


@dataclass(frozen=True)
class Built:
    """What came of building an improvement.

    Attributes:
        draft: The finished draft.
        layers: What changes, by component.
        entries: The files in each component's patch.
    """

    draft: Draft
    layers: dict[str, Layered]
    entries: dict[str, tuple[PatchEntry, ...]]


def improve(
    repository: Repository,
    product: str,
    baseline_name: BaselineName,
    sources: Mapping[str, Path],
    advisory: Advisory,
    *,
    letter: str | None,
    created: int,
    progress: Progress | None = None,
) -> Built:
    """Build the next improvement of a baseline.

    It is cumulative: what the last improvement did to other components, and what it fixed, is
    taken over. Every patch is decoded and checked against the improved tree before the draft
    appears, by one rename.

    Args:
        repository: The vendor's repository.
        product: The product.
        baseline_name: The baseline to improve.
        sources: The fixed components.
        advisory: What it fixes.
        letter: A letter to use instead of the next free one.
        created: Now, in seconds since 1970.
        progress: Told how far each component's patch is.

    Raises:
        RepointError: A source is unfit, nothing changed, the letter was given before, a component
            is not part of the baseline, or no image can hold what changes.
    """
    catalog = read_catalog(repository, product)
    drafts = read_drafts(repository, product)
    chosen = next_letter(catalog, drafts, baseline_name, letter)
    baseline = read_baseline(repository, product, baseline_name)
    before = _last_improvement(repository, product, baseline_name, drafts)
    place = draft_folder(repository, product, baseline_name, chosen)
    layers: dict[str, Layered] = {}
    entries: dict[str, tuple[PatchEntry, ...]] = {}
    improved: dict[str, ImprovedComponent] = {}
    contents: dict[str, Callable[[str], Path]] = {}
    # Fixes that are not published yet are nobody else's business.
    with scratch_folder(place, mode=0o700) as folder:
        draft = folder / "draft"
        draft.mkdir()
        for kept in _take_over(repository, baseline, before, set(sources), draft):
            improved[kept.name] = kept
        for name, source in sources.items():
            component = _component(baseline, name)
            old = baseline_folder(repository, product, baseline_name) / name
            new = folder / f"tree-{name}"
            unpack_source(source, new)
            layered = layer_between(
                old, component.entries, new, scan_tree(new, ignore=component.ignore)
            )
            patch = draft / f"{name}.patch"
            entries[name] = _encode(layered, old, new, patch, name, progress)
            contents[name] = _prove(
                component, layered.layer, layered.seal, old, patch, folder / f"proof-{name}"
            )
            layers[name] = layered
            improved[name] = ImprovedComponent(
                name=name,
                seal=layered.seal,
                layer=layered.layer,
                patch_size=patch.stat().st_size if patch.exists() else 0,
            )
        if all(component.seal == _component(baseline, component.name).seal
               for component in improved.values()):  # fmt: skip
            raise NothingChangedError(
                f"The fixed components are the same as in {product} {baseline_name}",
                hint="Name the component that holds the fix",
            )
        inherited = before.improvement.advisories if before else ()
        improvement = Improvement(
            format=1,
            product=product,
            baseline=baseline_name,
            letter=chosen,
            created=max(created, (before.improvement.created + 1) if before else 0),
            advisories=(*inherited, LetteredAdvisory(chosen, advisory)),
            components=tuple(improved[name] for name in sorted(improved)),
        )
        if baseline.system is not None:
            for kept in improved.values():
                if kept.name not in contents:
                    contents[kept.name] = _prove(
                        _component(baseline, kept.name), kept.layer, kept.seal,
                        baseline_folder(repository, product, baseline_name) / kept.name,
                        draft / f"{kept.name}.patch", folder / f"proof-{kept.name}",
                    )  # fmt: skip
            first = first_number(repository, baseline, baseline.system, drafts)
            extension = make_extension(baseline, baseline.system, improvement, contents, first)
            improvement = msgspec.structs.replace(improvement, extension=extension)
        (draft / "improvement.json").write_bytes(encode_record(improvement))
        sync(draft / "improvement.json")
        sync(draft)
        draft.rename(place)
        sync(place.parent)
    return Built(Draft(improvement, place), layers, entries)


def _last_improvement(
    repository: Repository, product: str, baseline: BaselineName, drafts: list[Draft]
) -> Draft | None:
    """The improvement that the next one builds upon: the last draft, or the last offered one."""
    mine = [draft for draft in drafts if draft.improvement.baseline == baseline]
    if mine:
        return mine[-1]
    offers = read_catalog(repository, product).offers_for(baseline)
    live = [offer for offer in offers if offer.state != "withdrawn"]
    if not live:
        return None
    last = read_improvement(repository, product, baseline, live[-1].letter)
    return Draft(last, Path())


def _take_over(
    repository: Repository,
    baseline: Baseline,
    before: Draft | None,
    replaced: set[str],
    draft: Path,
) -> list[ImprovedComponent]:
    kept = [c for c in (before.improvement.components if before else ()) if c.name not in replaced]
    for component in kept:
        if component.patch_size and before is not None:
            letter = before.improvement.letter
            path = names.patch_path(baseline.product, baseline.name, letter, component.name)
            unpublished = before.patch(component.name)
            data = (
                unpublished.read_bytes()
                if before.folder != Path()
                else repository.read_target(path)
            )
            (draft / f"{component.name}.patch").write_bytes(data)
            sync(draft / f"{component.name}.patch")
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
    layered: Layered, old: Path, new: Path, patch: Path, name: str, progress: Progress | None
) -> tuple[PatchEntry, ...]:
    inputs = [
        PatchInput(
            name=change.entry.path,
            new=new / change.entry.path,
            source=change.source,
            old=old / change.source if change.source else None,
        )
        for change in layered.needing_content
    ]
    if not inputs:
        return ()
    report = None if progress is None else (lambda done, total: progress(name, done, total))
    return write_patch(patch, inputs, progress=report)


def _prove(
    component: Component, layer: Layer, seal: str, old: Path, patch: Path, folder: Path
) -> Callable[[str], Path]:
    """Decode a patch as a device would, so that no device is the first to try.

    Returns:
        What tells where the content of a changed file is.
    """
    folder.mkdir()
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
        # The child checks every file's digest; together with the layer they give the seal.
        decode_in_child(patch, jobs, folder)
    if seal_of(apply_layer(component.entries, layer)) != seal:
        raise WrongPatchError(f"The patch for {component.name} does not give the improved tree")
    places = {change.entry.path: old / change.source for change in layer.changes}
    places |= {job.name: folder / str(number) for number, job in enumerate(jobs)}
    return places.__getitem__
