"""The improvements that one fix needs: one for each baseline of a manifest that it concerns."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repoint.model.advisory import Advisory
from repoint.model.baseline import Baseline, BaselineName
from repoint.publisher.advisory_file import read_advisory
from repoint.publisher.catalog.catalogs import read_baseline, read_catalog
from repoint.publisher.catalog.claims import Corrections
from repoint.publisher.errors import (
    ManifestError,
    MissingSourceError,
    NothingChangedError,
    UnknownBaselineError,
)
from repoint.publisher.improve.request import ImprovementRequest
from repoint.publisher.manifest.choice import Choice, LeftOut, names_to_improve
from repoint.publisher.manifest.patterns import find_source
from repoint.publisher.manifest.reader import ManifestFile
from repoint.repository.repository import Repository


@dataclass(frozen=True)
class FixOptions:
    """What the options of a command say about a fix.

    Attributes:
        choice: The baselines.
        sources: Patterns of the sources of components, from the working folder; they go before
            those of the manifest. These components are improved even if the advisory names others.
        letter: A later letter to use instead of the next free one.
        corrections: What changes about the claims of earlier letters.
        replace: Whether unpublished drafts are replaced, instead of extended.
    """

    choice: Choice = field(default_factory=Choice)
    sources: Mapping[str, str] = field(default_factory=dict)
    letter: str | None = None
    corrections: Corrections = field(default_factory=Corrections)
    replace: bool = False


def requests_for(
    repository: Repository, file: ManifestFile, advisory: Path, options: FixOptions
) -> tuple[list[ImprovementRequest], list[LeftOut]]:
    """Return the improvements to build, and the baselines that are left out.

    Args:
        repository: The vendor's repository.
        file: The manifest.
        advisory: The advisory, which names the components that the fix concerns.
        options: What the command says.

    Raises:
        AdvisoryError: The advisory does not fit.
        MissingSourceError: The pattern of a source leads to nothing, or to several files.
        RepointError: There is no baseline to improve, or none has the components.
    """
    product = file.content.product.id
    catalog = read_catalog(repository, product)
    names, left_out = names_to_improve(file, catalog, options.choice)
    baselines = [read_baseline(repository, product, name) for name in names]
    known = list(dict.fromkeys(part.name for each in baselines for part in each.components))
    for component in options.sources:
        if component not in known:
            raise UnknownBaselineError(
                f"{product} has no component {component}",
                hint=f"Its components are: {', '.join(known)}",
            )
    fixes = read_advisory(advisory, known)
    concerned = dict.fromkeys((*options.sources, *(fix.component for fix in fixes.fixes)))
    requests, without = [], []
    for baseline in baselines:
        own = [name for name in concerned if baseline.component(name) is not None]
        told = tuple(fix for fix in fixes.fixes if fix.component in own)
        if not told:
            without.append(LeftOut(baseline.name, f"without {' and '.join(concerned)}"))
            continue
        requests.append(
            ImprovementRequest(
                product, baseline.name,
                {each: _source(file, baseline.name, each, options) for each in own},
                Advisory(fixes.title, told), options.letter,
                options.corrections, narrow=True, replace=options.replace,
                others=_others(file, baseline, concerned),
            )
        )  # fmt: skip
    if not requests:
        raise NothingChangedError(
            f"No baseline has {' or '.join(concerned)}", hint="Correct the advisory"
        )
    return requests, [*without, *left_out]


def _others(file: ManifestFile, baseline: Baseline, concerned: Collection[str]) -> dict[str, Path]:
    """Return the sources of the components that the fix does not concern, if they are there."""
    found = {}
    for part in file.content.component:
        if part.id not in concerned and baseline.component(part.id) is not None:
            with contextlib.suppress(MissingSourceError):
                found[part.id] = find_source(part.source, file.folder, part.id, baseline.name)
    return found


def _source(file: ManifestFile, name: BaselineName, component: str, options: FixOptions) -> Path:
    if component in options.sources:
        return find_source(options.sources[component], Path(), component, name)
    for part in file.content.component:
        if part.id == component:
            return find_source(part.source, file.folder, component, name)
    raise ManifestError(
        f"{file.path.name} has no component {component}, which the advisory names",
        hint=f"Add it under [[component]], or name it with --component {component}=SOURCE",
    )
