"""The signed documents: baseline, improvement and catalog.

All three are plain JSON. They are read only after their signature, length and hash held, and
even then strictly: an unknown field or a wrong type is an error, not a guess.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from repoint.model.advisory import Advisory
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.names import check_component, check_platform, check_product
from repoint.model.system import Extension, System
from repoint.model.tree import Entry, Layer
from repoint.model.version import Letter, Version, label

RestartScope = Literal["none", "app", "service", "session", "system"]
"""What must restart for a fix to be in force."""

OfferState = Literal["offered", "paused", "withdrawn"]
Urgency = Literal["routine", "exploited"]
"""How much a fix hurries; ``exploited`` means that attacks were seen."""


class BaselineName(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=False, eq=True):
    """Which baseline: one platform, version and build of a product."""

    platform: str
    version: str
    build: str

    def __post_init__(self) -> None:
        check_platform(self.platform)
        Version(self.version)
        Version(self.build)

    def __str__(self) -> str:
        return f"{self.version} ({self.build}) for {self.platform}"

    @property
    def order(self) -> tuple[Version, Version]:
        """Sorts the baselines of one platform from the oldest to the newest."""
        return Version(self.version), Version(self.build)


class Component(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One component of a baseline: its sealed tree and how to live with it.

    Attributes:
        name: The component's name.
        seal: Seal of the tree.
        entries: Every path of the tree, in path order.
        restart: What must restart for a change to be in force.
        health: Command that must succeed after an activation; empty for none. ``{tree}`` stands
            for the tree that was activated, ``{python}`` for the interpreter Repoint runs on.
        ignore: Names or paths (shell patterns) that programs and installers write beside the
            component's own files. They are neither sealed nor carried from tree to tree.
    """

    name: str
    seal: str
    entries: tuple[Entry, ...]
    restart: RestartScope = "app"
    health: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_component(self.name)


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The sealed state of all components of one version, build and platform.

    Attributes:
        created: Seconds since 1970.
        system: The system whose files the components are; their paths are relative to ``/`` then.
    """

    format: Literal[1]
    product: str
    name: BaselineName
    created: int
    components: tuple[Component, ...]
    system: System | None = None

    def __post_init__(self) -> None:
        check_product(self.product)
        _refuse_doubles([component.name for component in self.components], "component")

    def component(self, name: str) -> Component | None:
        """The component of that name, if the baseline has it."""
        return next((c for c in self.components if c.name == name), None)


class ImprovedComponent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an improvement does to one component.

    Attributes:
        name: The component's name.
        seal: Seal of the improved tree.
        layer: What changes relative to the baseline.
        patch_size: Bytes of the patch; 0 where the layer needs no content.
    """

    name: str
    seal: str
    layer: Layer
    patch_size: int

    def __post_init__(self) -> None:
        check_component(self.name)


class LetteredAdvisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An advisory and the letter that brought it."""

    letter: str
    advisory: Advisory

    def __post_init__(self) -> None:
        Letter(self.letter)


class Improvement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A security release for one baseline. It holds all that the letters before it held.

    Attributes:
        created: Seconds since 1970; the modification time of every file that the patches make.
        advisories: What it fixes, its own advisory last.
        extension: The image of all its layers, where the baseline names its system.
    """

    format: Literal[1]
    product: str
    baseline: BaselineName
    letter: str
    created: int
    advisories: tuple[LetteredAdvisory, ...]
    components: tuple[ImprovedComponent, ...]
    extension: Extension | None = None

    def __post_init__(self) -> None:
        check_product(self.product)
        Letter(self.letter)
        _refuse_doubles([component.name for component in self.components], "component")
        if not self.advisories or not self.components:
            raise InvalidRecordError(f"{self.label} has no advisory or no component")

    @property
    def label(self) -> str:
        """How people write it: ``26.3.1 (a)``."""
        return label(self.baseline.version, self.letter)

    @property
    def title(self) -> str:
        """The title of its own advisory."""
        return self.advisories[-1].advisory.title

    @property
    def download_size(self) -> int:
        """Bytes of all its patches."""
        return sum(component.patch_size for component in self.components)

    def component(self, name: str) -> ImprovedComponent | None:
        """The component of that name, if it is improved."""
        return next((c for c in self.components if c.name == name), None)


class ListedBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A baseline in the catalog, with the seal of each component so that it can be recognised."""

    name: BaselineName
    seals: dict[str, str]


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the catalog says of one improvement. ``since`` is in seconds since 1970."""

    baseline: BaselineName
    letter: str
    state: OfferState
    since: int
    urgency: Urgency = "routine"
    reason: str = ""

    def __post_init__(self) -> None:
        Letter(self.letter)

    @property
    def label(self) -> str:
        """How people write it: ``26.3.1 (a)``."""
        return label(self.baseline.version, self.letter)


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one mutable document of a product: what is offered, paused and withdrawn."""

    format: Literal[1]
    product: str
    baselines: tuple[ListedBaseline, ...] = ()
    offers: tuple[Offer, ...] = ()

    def __post_init__(self) -> None:
        check_product(self.product)

    def offers_for(self, baseline: BaselineName) -> list[Offer]:
        """The offers for one baseline, from the first letter to the last."""
        offers = [offer for offer in self.offers if offer.baseline == baseline]
        return sorted(offers, key=lambda offer: Letter(offer.letter))

    def offer(self, baseline: BaselineName, letter: str) -> Offer | None:
        """What is said of one improvement, if anything."""
        return next((o for o in self.offers_for(baseline) if o.letter == letter), None)


Record = TypeVar("Record", bound=msgspec.Struct)


def encode_record(record: msgspec.Struct) -> bytes:
    """The JSON form of a record; the same record always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode_record(data: bytes, kind: type[Record], where: str) -> Record:
    """Read a record from its JSON form.

    Args:
        data: The JSON text.
        kind: The record's type.
        where: What to call the document in an error.

    Raises:
        InvalidRecordError: The document is not what the format says.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RepointError, RecursionError) as error:
        # msgspec wraps errors of __post_init__ in its own, with the place appended.
        reason = str(error).rstrip(".")
        raise InvalidRecordError(
            f"{where} is not a valid {kind.__name__.lower()}: {reason}",
            hint="It may come from a newer Repoint; update Repoint, or tell the vendor",
        ) from None


def _refuse_doubles(names: list[str], what: str) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise InvalidRecordError(f"The {what} {doubles[0]!r} stands twice in one record")
