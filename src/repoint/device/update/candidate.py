"""The installation of an improvement, as a state machine without I/O.

`Candidate` takes the result of each step and raises an error if the installation must not go on.
The code around it downloads, decodes and links; all decisions are here.

Rules, in the order in which they apply:

1. **Choose** (`update.choice`) from the catalog the highest letter that is offered for this
   device's baseline and is
   higher than the active one. A paused or withdrawn letter is not chosen, and nothing below the
   active letter ever is: a device never goes back to a lower letter. A letter that failed on this
   device is not chosen again. A letter that was removed is chosen only if a person asks.
   A letter that is rolled out is chosen automatically once the turn of this device has come; a
   person need not wait for it, nor does a deadline of the policy. A letter that reopens fixes that
   are in force here is installed only if a person accepts each of them: see `model.reopened`.
2. **Describe**: the signed improvement must be for this product, this baseline and the chosen
   letter. Each of its components must be part of the baseline. Its layer must fit the baseline, and
   the resulting tree must have the signed seal, which is computed from the records before any byte
   of the patch is downloaded. It may not add set-user-ID or set-group-ID bits. The signed image of
   the layers, if there is one, must be one that they can result in.
3. **Download**: each patch must have the length that the improvement names. The repository client
   verifies its digest.
4. **Prepare**: each tree on disk must have the signed seal.
5. **Stage** only after every component is prepared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.errors import NotApplicableError, NotTrustedError
from repoint.device.store.records import Generation
from repoint.image.layer_image import Overlay, layer_image
from repoint.model.baseline import Baseline, Component
from repoint.model.catalog import Offer
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import ImprovedComponent, Improvement
from repoint.model.system import Extension, release_files
from repoint.model.tree import Change, Entry
from repoint.tree.compare import apply_layer, changes_needing_content
from repoint.tree.digest import seal_of


@dataclass(frozen=True)
class CandidateComponent:
    """One component of a candidate.

    Attributes:
        baseline: The component in the baseline.
        improved: The component in the improvement.
        entries: The entries of the resulting tree.
        from_patch: The files whose content comes from the patch.
    """

    baseline: Component
    improved: ImprovedComponent
    entries: tuple[Entry, ...]
    from_patch: tuple[Change, ...]


@dataclass
class Candidate:
    """An offer that is being installed.

    Attributes:
        baseline: The device's baseline.
        offer: The chosen offer.
        components: The components, by name, once `describe` has accepted the improvement.
    """

    baseline: Baseline
    offer: Offer
    components: dict[str, CandidateComponent] = field(default_factory=dict)
    _prepared: set[str] = field(default_factory=set)

    @property
    def generation(self) -> Generation:
        """The resulting generation."""
        return Generation.of(self.baseline.name, self.offer.letter)

    def describe(self, improvement: Improvement) -> None:
        """Accept the signed improvement (rule 2).

        Raises:
            NotTrustedError: It is not the improvement that the catalog names.
            NotApplicableError: It does not fit this device.
        """
        identity = (improvement.product, improvement.baseline, improvement.letter)
        if identity != (self.baseline.product, self.baseline.name, self.offer.letter):
            raise NotTrustedError(
                f"The repository sent {improvement.product} {improvement.label} for "
                f"{improvement.baseline} instead of {self.offer.label}",
                hint="Tell the vendor; nothing was installed",
            )
        self.components = {c.name: self._component(c) for c in improvement.components}
        if improvement.extension is not None:
            self._require_image(improvement, improvement.extension)

    def accept_patch(self, component: str, length: int) -> None:
        """Accept a patch by its signed length (rule 3).

        Raises:
            NotTrustedError: The improvement names another length.
        """
        expected = self.components[component].improved.patch_size
        if length != expected:
            raise NotTrustedError(
                f"The patch for {component} has {length} bytes, but {self.offer.label} "
                f"names {expected}",
                hint="Tell the vendor; nothing was installed",
            )

    def accept_tree(self, component: str, seal: str) -> None:
        """Accept a tree on disk by the seal that it has (rule 4).

        Raises:
            NotTrustedError: It is not the signed seal.
        """
        if seal != self.components[component].improved.seal:
            raise NotTrustedError(
                f"The tree of {component} does not have the seal that {self.offer.label} names",
                hint="Nothing was installed; try again, and tell the vendor if it happens again",
            )
        self._prepared.add(component)

    def seals(self) -> dict[str, str]:
        """Return the seal of every component's tree, ready to be staged (rule 5).

        Raises:
            RuntimeError: A component is not prepared; that is a bug in the caller.
        """
        missing = self.components.keys() - self._prepared
        if missing or not self.components:
            raise RuntimeError(f"not prepared: {sorted(missing)}")
        improved = {name: c.improved.seal for name, c in self.components.items()}
        return {c.name: improved.get(c.name, c.seal) for c in self.baseline.components}

    def _require_image(self, improvement: Improvement, extension: Extension) -> None:
        """Refuse an image that cannot result from the layers, as far as the records show."""
        system, product = self.baseline.system, self.baseline.product
        problem = "its baseline belongs to no system" if system is None else ""
        try:
            image = layer_image(
                [
                    Overlay(component.entries, candidate.entries, Path)
                    for component in self.baseline.components
                    if (candidate := self.components.get(component.name)) is not None
                ],
                release_files(product, system) if system is not None else {},
                created=improvement.created,
                first=extension.first,
            )
            if not problem and image.size != extension.size:
                problem = f"it would have {image.size} bytes, not {extension.size}"
        except InvalidRecordError as error:
            problem = error.message
        if problem:
            raise NotApplicableError(
                f"The layers of {self.offer.label} do not result in the image that it names: "
                f"{problem}",
                hint="Tell the vendor; nothing was installed",
            )

    def _component(self, improved: ImprovedComponent) -> CandidateComponent:
        component = self.baseline.component(improved.name)
        if component is None:
            raise NotApplicableError(
                f"{self.offer.label} improves {improved.name}, which is not a component of "
                f"{self.baseline.product} {self.baseline.name}",
                hint="Tell the vendor; nothing was installed",
            )
        try:
            entries = apply_layer(component.entries, improved.layer)
        except InvalidRecordError as error:
            raise NotApplicableError(
                f"The layer of {improved.name} in {self.offer.label} does not fit the baseline: "
                f"{error.message}",
                hint="Tell the vendor; nothing was installed",
            ) from None
        if seal_of(entries) != improved.seal:
            raise NotApplicableError(
                f"The layer of {improved.name} in {self.offer.label} does not result in the tree "
                "that its seal names",
                hint="Tell the vendor; nothing was installed",
            )
        _refuse_new_privileges(component.entries, entries, self.offer.label)
        from_patch = changes_needing_content(component.entries, improved.layer)
        return CandidateComponent(component, improved, entries, from_patch)


def _refuse_new_privileges(before: tuple[Entry, ...], after: tuple[Entry, ...], label: str) -> None:
    had = {entry.path: entry.mode & 0o6000 for entry in before}
    for entry in after:
        if entry.kind == "file" and entry.mode & 0o6000 & ~had.get(entry.path, 0):
            raise NotApplicableError(
                f"{label} would make {entry.path} run with another user's rights, "
                "which the baseline does not",
                hint="Tell the vendor; such a change needs a full release",
            )
