"""The baseline: the sealed state of all components of one version, build and platform."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.model.address import reports_address
from repoint.model.encoding import refuse_duplicates
from repoint.model.errors import InvalidRecordError
from repoint.model.icon import check_icon
from repoint.model.names import check_component, check_platform, check_product
from repoint.model.system import System
from repoint.model.texts import check_contact, check_text
from repoint.model.tree import Entry
from repoint.model.version import Version

RestartScope = Literal["none", "app", "service", "session", "system"]
"""What must restart for a fix to be in force."""


MAX_ABOUT = 100
"""Characters in each text about a product."""

ABOUT_FIELDS = {
    "name": "product's name",
    "vendor": "vendor's name",
    "contact": "contact",
    "reports": "address for reports",
    "support": "address for help",
}


class BaselineName(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=False, eq=True):
    """The name of a baseline: one platform, version and build of a product."""

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
        """The sort key for the baselines of one platform, oldest first."""
        return Version(self.version), Version(self.build)


class Component(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One component of a baseline: its sealed tree and how devices handle it.

    Attributes:
        name: The component's name.
        seal: Seal of the tree.
        entries: Every path of the tree, in path order.
        restart: What must restart for a change to be in force.
        health: Command that must succeed after an activation; empty for none. ``{tree}`` is
            replaced by the activated tree, ``{python}`` by Repoint's own interpreter.
        ignore: Shell patterns of names or paths that programs and installers write among the
            component's own files. Such files are neither sealed nor copied to another tree.
    """

    name: str
    seal: str
    entries: tuple[Entry, ...]
    restart: RestartScope = "app"
    health: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_component(self.name)
        if any("\0" in argument for argument in self.health):
            raise InvalidRecordError(
                f"The health check of {self.name} contains a NUL character", hint="Remove it"
            )


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a product presents itself to people.

    Attributes:
        name: The product's name for people, such as ``Acme Kiosk``; empty for none.
        vendor: Who makes it; empty for unknown.
        contact: Where people reach the vendor: an https or mail address; empty for unknown.
        reports: Where reports go if the owner of a device consents; empty if the vendor takes none.
        support: Where people get help with the product: an https or mail address; empty if unknown.
        components: The names for people of components, by the name of the component.
    """

    name: str = ""
    vendor: str = ""
    contact: str = ""
    reports: str = ""
    support: str = ""
    components: dict[str, str] = {}

    def __post_init__(self) -> None:
        for field, what in ABOUT_FIELDS.items():
            if text := getattr(self, field):
                check_text(what, text, MAX_ABOUT, lines=False)
        for component, text in self.components.items():
            check_component(component)
            check_text(f"name of {component}", text, MAX_ABOUT, lines=False)
        if self.reports:
            reports_address(self.reports)

    def component(self, name: str) -> str:
        """Return the name of a component for people."""
        return self.components.get(name, name)


def check_contacts(about: About) -> None:
    """Require that people can reach somebody at the addresses that a vendor gives.

    A new baseline must pass. Baselines that are signed already may say anything there.

    Raises:
        InvalidRecordError: One is neither an https nor a mail address.
    """
    for field in ("contact", "support"):
        if text := getattr(about, field):
            check_contact(ABOUT_FIELDS[field], text)


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The sealed state of all components of one version, build and platform.

    Attributes:
        created: Seconds since 1970.
        system: The system whose files the components are, if any; paths are then relative to ``/``.
        about: The product's name, vendor and contact for people, if given.
        icon: The product's icon, a PNG; empty if it has none.
    """

    format: Literal["1.0"]
    product: str
    name: BaselineName
    created: int
    components: tuple[Component, ...]
    system: System | None = None
    about: About | None = None
    icon: bytes = b""

    def __post_init__(self) -> None:
        check_product(self.product)
        if self.icon:
            check_icon(self.icon)
        refuse_duplicates([component.name for component in self.components], "component")

    def component(self, name: str) -> Component | None:
        """Return the component of that name, or None."""
        return next((c for c in self.components if c.name == name), None)
