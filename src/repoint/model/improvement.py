"""The improvement: a security release for one baseline."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.model.advisory import Advisory
from repoint.model.baseline import BaselineName
from repoint.model.encoding import refuse_duplicates
from repoint.model.errors import InvalidRecordError
from repoint.model.names import check_component, check_product
from repoint.model.system import Extension
from repoint.model.tree import Layer
from repoint.model.version import Letter, label


class ImprovedComponent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One component of an improvement.

    Attributes:
        name: The component's name.
        seal: Seal of the improved tree.
        layer: The changes relative to the baseline.
        patch_size: Bytes of the patch; 0 if the layer needs no new content.
    """

    name: str
    seal: str
    layer: Layer
    patch_size: int

    def __post_init__(self) -> None:
        check_component(self.name)


class LetteredAdvisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An advisory and the letter that introduced it."""

    letter: str
    advisory: Advisory

    def __post_init__(self) -> None:
        Letter(self.letter)


class Improvement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A security release for one baseline. It contains all earlier letters.

    Attributes:
        created: Seconds since 1970; the modification time of every decoded file.
        advisories: The advisories of all letters up to this one, its own last.
        extension: The image of all its layers, if the baseline names its system.
        dropped: Fixes of earlier letters that it knowingly lacks; see `model.reopened`.
        renamed: CVE ids that an earlier letter named wrongly, each with the right one.
    """

    format: Literal["1.0"]
    product: str
    baseline: BaselineName
    letter: str
    created: int
    advisories: tuple[LetteredAdvisory, ...]
    components: tuple[ImprovedComponent, ...]
    extension: Extension | None = None
    dropped: tuple[str, ...] = ()
    renamed: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_product(self.product)
        Letter(self.letter)
        refuse_duplicates([component.name for component in self.components], "component")
        if not self.advisories or not self.components:
            raise InvalidRecordError(f"{self.label} has no advisory or no component")

    @property
    def label(self) -> str:
        """The label, such as ``26.3.1 (a)``."""
        return label(self.baseline.version, self.letter)

    @property
    def title(self) -> str:
        """The title of its own advisory."""
        return self.advisories[-1].advisory.title

    def cves(self) -> tuple[str, ...]:
        """Return all CVE ids of its advisories, each once, in their order."""
        return tuple(dict.fromkeys(c for each in self.advisories for c in each.advisory.cves()))

    def fixes_without_cve(self) -> int:
        """Return how many fixes of its advisories have no CVE id."""
        return sum(not fix.cves for each in self.advisories for fix in each.advisory.fixes)

    def seals(self) -> dict[str, str]:
        """Return the seal of each improved component, by its name."""
        return {component.name: component.seal for component in self.components}

    @property
    def download_size(self) -> int:
        """Bytes of all patches."""
        return sum(component.patch_size for component in self.components)

    @property
    def disk_size(self) -> int:
        """The most bytes that its installation writes; the file system may need fewer.

        The patches stay on disk until all trees are built. A changed file is decoded once and then
        moved into its tree. If only its mode changes, it is copied unless the file system can
        clone. Unchanged files are shared with the baseline. The image of the layers, if one is
        signed, is written in addition to the trees, with its hash tree.
        """
        changed = sum(c.entry.size for part in self.components for c in part.layer.changes)
        image = self.extension.disk_size if self.extension is not None else 0
        return self.download_size + changed + image

    def component(self, name: str) -> ImprovedComponent | None:
        """Return the improved component of that name, or None."""
        return next((c for c in self.components if c.name == name), None)
