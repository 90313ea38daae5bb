"""What an improvement would be, before any patch is made: its letter, claims and changes.

Everything that may be refused is refused here, because patches take minutes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from repoint.fs.scratch import scratch_folder
from repoint.model.advisory import Advisory
from repoint.model.baseline import Baseline, Component
from repoint.model.errors import RepointError
from repoint.model.improvement import Improvement, LetteredAdvisory
from repoint.publisher.baselines import baseline_folder
from repoint.publisher.catalog.catalogs import read_baseline, read_catalog
from repoint.publisher.catalog.claims import Claims, claims_in, claims_of
from repoint.publisher.catalog.retirement import require_in_care
from repoint.publisher.catalog.withdrawn import withdrawn_with
from repoint.publisher.errors import LetterTakenError, NothingChangedError, UnknownBaselineError
from repoint.publisher.improve.drafts import Draft, draft_folder, next_letter
from repoint.publisher.improve.fixed_tree import fixed_tree
from repoint.publisher.improve.inheritance import Lineage, read_lineage
from repoint.publisher.improve.layers import LayerComparison, layer_between
from repoint.publisher.improve.patches import TreePair
from repoint.publisher.improve.placement import drafting
from repoint.publisher.improve.request import ImprovementRequest
from repoint.repository.repository import Repository

State = Literal["new", "drafted", "published", "unconcerned"]
"""Whether an improvement has to be built, is there already, or would change nothing."""


@dataclass(frozen=True)
class Prepared:
    """An improvement, ready to be built.

    Attributes:
        request: What was asked for, without the components that are left out.
        baseline: The baseline.
        state: Whether it has to be built.
        letter: Its letter.
        before: The improvement that it extends; if it is there already, the improvement itself.
        replaced: The draft whose place it takes, if any.
        claims: What it fixes; None unless it has to be built.
        layers: What changes, by component.
        left_out: The components that are fixed in the baseline already.
        withdrawn: Withdrawn letters with the same content, each with the reason.
        drafts: The product's drafts.
        folder: The folder to work in, which has the fixed trees.
        trees: The folder with the baseline's trees.
    """

    request: ImprovementRequest
    baseline: Baseline
    state: State
    letter: str
    before: Draft | None
    replaced: Draft | None
    claims: Claims | None
    layers: dict[str, LayerComparison]
    left_out: tuple[str, ...]
    withdrawn: tuple[str, ...]
    drafts: list[Draft]
    folder: Path
    trees: Path

    @property
    def extends_draft(self) -> str:
        """The label of the unpublished draft that it extends; "" if there is none."""
        if self.state != "new" or self.before is None or self.before.folder == Path():
            return ""
        return self.before.improvement.label

    @property
    def dropped(self) -> tuple[str, ...]:
        """The fixes of earlier letters that it does not have."""
        if self.claims is not None:
            return self.claims.dropped
        return self.before.improvement.dropped if self.before is not None else ()

    def pair(self, component: str) -> TreePair:
        """Return the trees of a component."""
        return TreePair(self.trees / component, self.folder / f"tree-{component}")


@contextlib.contextmanager
def prepared(
    repository: Repository, request: ImprovementRequest, *, reuse: bool = False
) -> Iterator[Prepared]:
    """Compare the fixed components with the baseline, and hold the baseline's lock meanwhile.

    Args:
        repository: The vendor's repository.
        request: What to build.
        reuse: Whether the last improvement is taken if it is the same; else the next letter is.

    Raises:
        LostFixesError: It would lose fixes of earlier letters.
        NothingChangedError: The components are the baseline's, or the advisory names a component
            that does not change.
        RepointError: A source is unfit, the letter is already used, a component is not part of the
            baseline, or another process builds an improvement of the baseline.
    """
    product, name = request.product, request.baseline
    require_in_care(read_catalog(repository, product), name)
    baseline = read_baseline(repository, product, name)
    with drafting(repository, product, name):
        yield from _prepared(repository, request, baseline, reuse)


def component_of(baseline: Baseline, name: str) -> Component:
    """Return a component of a baseline.

    Raises:
        UnknownBaselineError: The baseline has no such component.
    """
    component = baseline.component(name)
    if component is None:
        known = ", ".join(c.name for c in baseline.components)
        raise UnknownBaselineError(
            f"{baseline.product} {baseline.name} has no component {name}",
            hint=f"Its components are: {known}",
        )
    return component


def _prepared(
    repository: Repository, request: ImprovementRequest, baseline: Baseline, reuse: bool
) -> Iterator[Prepared]:
    lineage = read_lineage(repository, baseline.product, baseline.name, replace=request.replace)
    replaced, before = lineage.replaced, lineage.before
    if replaced is not None:
        request = replace(request, letter=replaced.improvement.letter)
    last = replaced if replaced is not None else before
    perhaps = reuse and last is not None and _may_be(last, request, lineage.earlier)
    letter, taken = _letter(lineage, request, last if perhaps else None)
    for component in request.sources:
        component_of(baseline, component)
    _require_sources(request)
    if not perhaps:
        _claims(request, letter, lineage)
    target = draft_folder(repository, baseline.product, baseline.name, letter)
    # Unpublished fixes are confidential.
    with scratch_folder(target, mode=0o700) as folder:
        trees = baseline_folder(repository, baseline.product, baseline.name)
        first = Prepared(request, baseline, "new", letter, before, replaced, None, {}, (), (),
                         lineage.drafts, folder, trees)  # fmt: skip
        layers = {name: _compare(first, name, source) for name, source in request.sources.items()}
        left_out = _fixed_already(first, layers) if request.narrow else ()
        request = _narrowed(request, left_out)
        layers = {name: layer for name, layer in layers.items() if name not in left_out}
        state: State = "new" if layers else "unconcerned"
        claims = None
        if perhaps and last is not None and _is(last, request, layers):
            state = "drafted" if last.folder != Path() else "published"
            letter, before = last.improvement.letter, last
        elif taken is not None:
            raise taken
        elif layers:
            _require_changes(first, request, layers)
            claims = _claims(request, letter, lineage)
        yield replace(
            first, request=request, state=state, letter=letter, before=before, claims=claims,
            layers=layers, left_out=left_out,
            withdrawn=_withdrawn(repository, request, before, layers),
        )  # fmt: skip


def _letter(
    lineage: Lineage, request: ImprovementRequest, same: Draft | None
) -> tuple[str, LetterTakenError | None]:
    """Return the letter, and an error if it is taken by what may be the same improvement."""
    try:
        catalog, drafts = lineage.catalog, lineage.drafts
        return next_letter(catalog, drafts, request.baseline, request.letter), None
    except LetterTakenError as error:
        if same is None or same.improvement.letter != request.letter:
            raise
        return request.letter, error


def _claims(request: ImprovementRequest, letter: str, lineage: Lineage) -> Claims:
    last = lineage.before.improvement if lineage.before is not None else None
    own = LetteredAdvisory(letter, request.advisory)
    return claims_of(own, last, lineage.earlier, request.corrections)


def _compare(prepared: Prepared, name: str, source: Path) -> LayerComparison:
    component = component_of(prepared.baseline, name)
    pair = prepared.pair(name)
    fixed = fixed_tree(source, pair.new, component, system=prepared.baseline.system is not None)
    return layer_between(pair.old, component.entries, pair.new, fixed)


def _withdrawn(
    repository: Repository,
    request: ImprovementRequest,
    before: Draft | None,
    layers: Mapping[str, LayerComparison],
) -> tuple[str, ...]:
    seals = _seals(before, layers)
    return tuple(withdrawn_with(repository, request.product, request.baseline, seals))


def _seals(before: Draft | None, layers: Mapping[str, LayerComparison]) -> dict[str, str]:
    """Return the seal of each component that the improvement changes, by its name."""
    kept = before.improvement.seals() if before is not None else {}
    return kept | {name: layer.seal for name, layer in layers.items()}


def _fixed_already(prepared: Prepared, layers: Mapping[str, LayerComparison]) -> tuple[str, ...]:
    """Return the components whose fixed tree is the baseline's, and no letter has changed."""
    before = prepared.before
    return tuple(
        name
        for name, layer in layers.items()
        if layer.seal == component_of(prepared.baseline, name).seal
        and (before is None or before.improvement.component(name) is None)
    )


def _narrowed(request: ImprovementRequest, left_out: tuple[str, ...]) -> ImprovementRequest:
    fixes = tuple(fix for fix in request.advisory.fixes if fix.component not in left_out)
    if not left_out or not fixes:
        return request
    sources = {name: path for name, path in request.sources.items() if name not in left_out}
    return replace(request, sources=sources, advisory=Advisory(request.advisory.title, fixes))


def differing_others(ready: Prepared) -> tuple[str, ...]:
    """Return the components without a fix in the advisory that differ from the last letter's.

    One that cannot be read is none of them: nothing is made of it.
    """
    seals = {component.name: component.seal for component in ready.baseline.components}
    seals |= _seals(ready.before, {})
    found = []
    for name, source in ready.request.others.items():
        with contextlib.suppress(RepointError):
            if _compare(ready, name, source).seal != seals[name]:
                found.append(name)
    return tuple(found)


def _require_sources(request: ImprovementRequest) -> None:
    """Refuse an advisory for a component that this improvement does not change."""
    for number, fix in enumerate(request.advisory.fixes, 1):
        if fix.component not in request.sources:
            raise NothingChangedError(
                f"Fix {number} of the advisory is for {fix.component}, which this improvement does "
                "not change",
                hint=f"Name the fixed {fix.component} with --component, or correct the advisory",
            )


def _require_changes(
    prepared: Prepared, request: ImprovementRequest, layers: Mapping[str, LayerComparison]
) -> None:
    baseline, seals = prepared.baseline, _seals(prepared.before, layers)
    if all(seal == component_of(baseline, name).seal for name, seal in seals.items()):
        raise NothingChangedError(
            f"The fixed components are the same as in {baseline.product} {baseline.name}",
            hint="Name the component that holds the fix",
        )
    # The same tree as in the letter before is fit: its advisory may have lacked the fix.
    for name in dict.fromkeys(fix.component for fix in request.advisory.fixes):
        if seals[name] == component_of(baseline, name).seal:
            raise NothingChangedError(
                f"The advisory has a fix for {name}, which is the same as in {baseline.name}",
                hint=f"Name the fixed {name} with --component, or correct the advisory",
            )


def _may_be(last: Draft, request: ImprovementRequest, earlier: list[Improvement]) -> bool:
    """Return whether the last improvement may be what is asked for; its files decide.

    A letter that is named is taken from a draft only: one that is published is used up.
    """
    improvement, wanted, corrections = last.improvement, request.advisory, request.corrections
    own = improvement.advisories[-1]
    letters = (None,) if last.folder == Path() else (None, improvement.letter)
    before = {claim.name for each in earlier if each != improvement for claim in claims_in(each)}
    return (
        request.letter in letters
        and own.letter == improvement.letter
        and own.advisory.title == wanted.title
        and set(own.advisory.fixes) <= set(wanted.fixes)
        and set(corrections.renamed.items()) <= set(improvement.renamed.items())
        and {*corrections.dropped, *corrections.retracted} <= before - set(improvement.cves())
    )


def _is(last: Draft, request: ImprovementRequest, layers: Mapping[str, LayerComparison]) -> bool:
    improvement, seals = last.improvement, last.improvement.seals()
    return (
        bool(layers)
        and improvement.advisories[-1].advisory == request.advisory
        and all(seals.get(name) == layer.seal for name, layer in layers.items())
    )
