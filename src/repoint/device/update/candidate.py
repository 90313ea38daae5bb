"""The way of an improvement on a device, as a state machine without I/O.

`Candidate` is told what was found, step by step, and refuses what must not go on. The code around
it downloads, decodes and links; every decision is here.

Rules, in the order in which they are met:

1. **Chosen** from the catalog: the highest letter that is offered for this device's baseline, and
   that is higher than the active one. A paused or withdrawn letter is not chosen, whatever the
   catalog says of letters below: a device never goes back to a lower letter. A letter that failed
   its health check here is never chosen again. One that was removed is chosen only when a person
   asks.
2. **Described** by the signed improvement: it must be for this product, this baseline and the
   chosen letter. Each of its components must be part of the baseline. Its layer must fit the
   baseline, and the tree it gives must have the signed seal, which is computed from the records
   before a byte of the patch is fetched. It may not add set-user-id or set-group-id bits. An image
   of the layers, if one is signed, must be one that they can give.
3. **Fetched**: each patch must have the length that the improvement says; its digest is the
   repository's affair.
4. **Prepared**: each tree on disk must have the signed seal.
5. **Staged** only after every component was prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.errors import NotApplicableError, NothingToDoError, NotTrustedError
from repoint.device.store.records import Generation, Mark
from repoint.image.layer_image import Overlay, layer_image
from repoint.model.baseline import Baseline
from repoint.model.catalog import Catalog, Offer
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import ImprovedComponent, Improvement
from repoint.model.system import Extension, release_files
from repoint.model.tree import Change, Entry
from repoint.model.version import Letter
from repoint.tree.compare import apply_layer, changes_needing_content
from repoint.tree.digest import seal_of


def choose(
    catalog: Catalog,
    baseline: Baseline,
    active: Generation,
    marks: Callable[[Generation], Mark | None],
    *,
    user_initiated: bool,
) -> Offer:
    """The offer that this device should install next (rule 1).

    Args:
        catalog: The verified catalog.
        baseline: The device's baseline.
        active: What is active now.
        marks: What the device has noted of a generation.
        user_initiated: Whether a person asks, rather than the timer.

    Raises:
        NothingToDoError: There is none; the error says why.
    """
    offers = [o for o in catalog.offers_for(baseline.name) if o.state == "offered"]
    newer = [o for o in offers if not active.letter or Letter(o.letter) > Letter(active.letter)]
    if not newer:
        raise NothingToDoError(f"{catalog.product} {active.label} is up to date")
    offer = newer[-1]
    mark = marks(Generation.of(baseline.name, offer.letter))
    if mark is not None and mark.kind == "failed":
        raise NothingToDoError(
            f"{offer.label} failed on this device and is not tried again",
            hint="A later letter will be; tell the vendor what `repoint history` says",
        )
    if mark is not None and mark.kind == "removed" and not user_initiated:
        raise NothingToDoError(
            f"{offer.label} was removed by a person and is not installed again by itself",
            hint="Run `repoint install` to have it back; a later letter installs by itself",
        )
    return offer


@dataclass(frozen=True)
class CandidateComponent:
    """One component on its way.

    Attributes:
        improved: What the improvement says of it.
        entries: The tree it will be.
        needing_content: The files that the patch gives.
        ignore: What programs write beside the component's files.
    """

    improved: ImprovedComponent
    entries: tuple[Entry, ...]
    needing_content: tuple[Change, ...]
    ignore: tuple[str, ...]


@dataclass
class Candidate:
    """An offer that is being turned into something staged.

    Attributes:
        baseline: The device's baseline.
        offer: What was chosen.
        parts: The components, once the improvement has described them.
    """

    baseline: Baseline
    offer: Offer
    parts: dict[str, CandidateComponent] = field(default_factory=dict)
    _prepared: set[str] = field(default_factory=set)

    @property
    def generation(self) -> Generation:
        """The generation it will be."""
        return Generation.of(self.baseline.name, self.offer.letter)

    def describe(self, improvement: Improvement) -> None:
        """Take the signed improvement (rule 2).

        Raises:
            NotTrustedError: The repository gave another improvement than the catalog names.
            NotApplicableError: It does not fit this device.
        """
        said = (improvement.product, improvement.baseline, improvement.letter)
        if said != (self.baseline.product, self.baseline.name, self.offer.letter):
            raise NotTrustedError(
                f"The repository gave {improvement.product} {improvement.label} for "
                f"{improvement.baseline} where {self.offer.label} was asked for",
                hint="Tell the vendor; nothing was installed",
            )
        self.parts = {part.name: self._part(part) for part in improvement.components}
        if improvement.extension is not None:
            self._require_image(improvement, improvement.extension)

    def fetched(self, component: str, length: int) -> None:
        """Take note that a patch has arrived, its digest verified (rule 3).

        Raises:
            NotTrustedError: It has another length than the improvement says.
        """
        expected = self.parts[component].improved.patch_size
        if length != expected:
            raise NotTrustedError(
                f"The patch for {component} has {length} bytes, but {self.offer.label} "
                f"says {expected}",
                hint="Tell the vendor; nothing was installed",
            )

    def prepared(self, component: str, seal: str) -> None:
        """Take note that a tree stands on disk, with the seal it was found to have (rule 4).

        Raises:
            NotTrustedError: It is not the signed seal.
        """
        if seal != self.parts[component].improved.seal:
            raise NotTrustedError(
                f"The tree of {component} does not have the seal that {self.offer.label} promises",
                hint="Nothing was installed; try again, and tell the vendor if it stays so",
            )
        self._prepared.add(component)

    def trees(self) -> dict[str, str]:
        """The seal of every component's tree, ready to be staged (rule 5).

        Raises:
            RuntimeError: A component was not prepared; that is a mistake of the caller.
        """
        missing = self.parts.keys() - self._prepared
        if missing or not self.parts:
            raise RuntimeError(f"not prepared: {sorted(missing)}")
        improved = {name: part.improved.seal for name, part in self.parts.items()}
        return {c.name: improved.get(c.name, c.seal) for c in self.baseline.components}

    def _require_image(self, improvement: Improvement, extension: Extension) -> None:
        """Refuse an image that the layers do not give, as far as the records tell."""
        system, product = self.baseline.system, self.baseline.product
        why = "its baseline belongs to no system" if system is None else ""
        try:
            image = layer_image(
                [
                    Overlay(component.entries, part.entries, Path)
                    for component in self.baseline.components
                    if (part := self.parts.get(component.name)) is not None
                ],
                release_files(product, system) if system is not None else {},
                created=improvement.created,
                first=extension.first,
            )
            if not why and image.size != extension.size:
                why = f"it would have {image.size} bytes, not {extension.size}"
        except InvalidRecordError as error:
            why = error.message
        if why:
            raise NotApplicableError(
                f"The layers of {self.offer.label} do not give the image that it promises: {why}",
                hint="Tell the vendor; nothing was installed",
            )

    def _part(self, improved: ImprovedComponent) -> CandidateComponent:
        component = self.baseline.component(improved.name)
        if component is None:
            raise NotApplicableError(
                f"{self.offer.label} improves {improved.name}, which is no component of "
                f"{self.baseline.product} {self.baseline.name}",
                hint="Tell the vendor; nothing was installed",
            )
        try:
            entries = apply_layer(component.entries, improved.layer)
        except InvalidRecordError as error:
            raise NotApplicableError(
                f"The layer of {improved.name} in {self.offer.label} is unfit: {error.message}",
                hint="Tell the vendor; nothing was installed",
            ) from None
        if seal_of(entries) != improved.seal:
            raise NotApplicableError(
                f"The layer of {improved.name} in {self.offer.label} does not give the tree "
                "that its seal promises",
                hint="Tell the vendor; nothing was installed",
            )
        _refuse_new_privileges(component.entries, entries, self.offer.label)
        return CandidateComponent(
            improved,
            entries,
            changes_needing_content(component.entries, improved.layer),
            component.ignore,
        )


def _refuse_new_privileges(before: tuple[Entry, ...], after: tuple[Entry, ...], label: str) -> None:
    had = {entry.path: entry.mode & 0o6000 for entry in before}
    for entry in after:
        if entry.kind == "file" and entry.mode & 0o6000 & ~had.get(entry.path, 0):
            raise NotApplicableError(
                f"{label} would make {entry.path} run with another user's rights, "
                "which the baseline does not",
                hint="Tell the vendor; such a change needs a full release",
            )
