"""What a vendor asks for: one improvement of one baseline, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repoint.delta.container import PatchEntry
from repoint.model.advisory import Advisory
from repoint.model.baseline import BaselineName
from repoint.publisher.catalog.claims import Corrections
from repoint.publisher.improve.drafts import Draft
from repoint.publisher.improve.layers import LayerComparison

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
        others: Sources of components that the advisory does not name. They are not built, only
            compared.
        narrow: Whether a component that is fixed in the baseline already is left out, with the
            fixes of it, instead of refused.
        replace: Whether it takes the place of the last draft that is not published, if there is
            one, instead of extending it.
        kept: Fixes that the vendor gives up for other baselines, and that this one inherits.
    """

    product: str
    baseline: BaselineName
    sources: Mapping[str, Path]
    advisory: Advisory
    letter: str | None = None
    corrections: Corrections = field(default_factory=Corrections)
    others: Mapping[str, Path] = field(default_factory=dict)
    narrow: bool = False
    replace: bool = False
    kept: tuple[str, ...] = ()


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
