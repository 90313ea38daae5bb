"""What a manifest says.

The descriptions are for the JSON schema, which editors show; `repoint.publisher.manifest.reader`
reads the file, and checks types and names of fields.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from repoint.model.baseline import About, BaselineName, RestartScope, check_contacts
from repoint.model.names import check_component, check_platform, check_product
from repoint.model.texts import CONTACT_PATTERN
from repoint.model.version import Version
from repoint.publisher.errors import ManifestError
from repoint.publisher.manifest.patterns import check_pattern


def _told(description: str, *examples: Any, **more: Any) -> Meta:
    return Meta(
        description=description, examples=list(examples) or None, extra_json_schema=more or None
    )


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The product, and how it presents itself to people.

    Attributes:
        id: The product's name in commands and addresses.
        platforms: The platforms that it is released for.
        name: Its name for people; empty for none.
        vendor: Who makes it; empty for unknown.
        contact: Where people reach the vendor; empty for unknown.
        support: Where people get help with it; empty for unknown.
        reports: Where reports of devices go; empty if the vendor takes none.
        icon: The path of its icon, from the manifest's folder; empty for none.
    """

    id: Annotated[str, _told("The product's name in commands and addresses.", "acme-kiosk")]
    platforms: Annotated[
        tuple[str, ...],
        _told(
            "The platforms that it is released for: system, machine and perhaps a device model.",
            ["linux-x86_64", "linux-aarch64"],
            minItems=1,
        ),
    ]
    name: Annotated[str, _told("The product's name for people.", "Acme Kiosk")] = ""
    vendor: Annotated[str, _told("Who makes it, for people.", "Acme Inc.")] = ""
    contact: Annotated[
        str,
        _told(
            "Where people reach the vendor: an https or mail address.",
            "security@example.com",
            pattern=CONTACT_PATTERN,
        ),
    ] = ""
    support: Annotated[
        str,
        _told(
            "Where people get help with the product: an https or mail address.",
            "https://help.example.com",
            pattern=CONTACT_PATTERN,
        ),
    ] = ""
    reports: Annotated[
        str,
        _told(
            "Where reports of devices go if their owners consent: an https address.",
            "https://fleet.example.com",
        ),
    ] = ""
    icon: Annotated[
        str,
        _told("The product's icon: a small PNG, from the manifest's folder.", "assets/icon.png"),
    ] = ""

    def __post_init__(self) -> None:
        check_product(self.id)
        _check_platforms(self.platforms)
        check_contacts(self.about)

    @property
    def about(self) -> About:
        """How the product presents itself, without its components."""
        return About(self.name, self.vendor, self.contact, self.reports, self.support)


class ManifestComponent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A component: where the build leaves it, and how devices handle it.

    Attributes:
        id: The component's name.
        source: The path of its folder, wheel, .deb or tar archive, from the manifest's folder, with
            ``*`` and placeholders.
        name: Its name for people; empty for none.
        restart: What must restart for a fix of it to be in force.
        health: The command that must succeed after an activation; empty for none.
        ignore: Patterns of names or paths that programs write among its files.
    """

    id: Annotated[str, _told("The component's name.", "pillow")]
    source: Annotated[
        str,
        _told(
            "The folder, wheel, .deb or tar archive with the component, from the manifest's "
            "folder. * stands for any characters; {version}, {build}, {platform} and {arch} are "
            "those of the baseline.",
            "dist/{platform}/pillow-*.whl",
        ),
    ]
    name: Annotated[str, _told("The component's name for people.", "Image decoding")] = ""
    restart: Annotated[RestartScope, _told("What must restart for a fix of it to be in force.")] = (
        "app"
    )
    health: Annotated[
        str,
        _told(
            "A command that must succeed after an activation. {tree} is the activated tree, "
            "{python} is Repoint's own interpreter.",
            '{python} -c "import json"',
        ),
    ] = ""
    ignore: Annotated[
        tuple[str, ...],
        _told("Patterns of files that programs write among the component's own.", ["*.log"]),
    ] = ()

    def __post_init__(self) -> None:
        check_component(self.id)
        check_pattern(self.source)
        if self.name:
            _ = About(components={self.id: self.name})
        try:
            shlex.split(self.health)
        except ValueError:
            raise ManifestError(
                "'health' has a quotation mark that is not closed", hint="Close it"
            ) from None
        if "" in self.ignore:
            raise ManifestError("'ignore' has an empty pattern", hint="Remove it")


class ManifestBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release that is cared for.

    Attributes:
        version: Its version.
        build: Its build.
        platforms: Its platforms; empty for all of the product.
    """

    version: Annotated[str, _told("The version of the release.", "26.3.1")]
    build: Annotated[str, _told("The build of the release.", "25D2128")]
    platforms: Annotated[
        tuple[str, ...],
        _told("The platforms of this release, if not all of the product.", ["linux-x86_64"]),
    ] = ()

    def __post_init__(self) -> None:
        Version(self.version)
        Version(self.build)
        _check_platforms(self.platforms, least=0)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product, its components and the releases that are cared for.

    Attributes:
        product: The product.
        component: Its components.
        baseline: The releases that are cared for; if there is none, all that are registered.
    """

    product: Annotated[Product, _told("The product, and how it presents itself to people.")]
    component: Annotated[
        tuple[ManifestComponent, ...],
        _told("A part of the product that can be improved alone.", minItems=1),
    ]
    baseline: Annotated[
        tuple[ManifestBaseline, ...],
        _told("A release that is cared for. Without any, all registered ones are."),
    ] = ()

    def __post_init__(self) -> None:
        if not self.component:
            raise ManifestError("there is no component", hint="Add one under [[component]]")
        _refuse_twice([part.id for part in self.component], "the component")
        for number, each in enumerate(self.baseline, 1):
            for platform in each.platforms:
                if platform not in self.product.platforms:
                    raise ManifestError(
                        f"baseline {number}: platforms: {platform!r} is not a platform of the "
                        "product",
                        hint=f"Use one of {', '.join(self.product.platforms)}, or add it to the "
                        "platforms under [product]",
                    )
        _refuse_twice([str(name) for name in self.names()], "the baseline")

    @property
    def about(self) -> About:
        """How the product presents itself, as a baseline records it."""
        names = {part.id: part.name for part in self.component if part.name}
        return msgspec.structs.replace(self.product.about, components=names)

    def names(self) -> tuple[BaselineName, ...]:
        """Return the baselines: each release for each of its platforms."""
        return tuple(
            BaselineName(platform, each.version, each.build)
            for each in self.baseline
            for platform in each.platforms or self.product.platforms
        )


def _check_platforms(platforms: tuple[str, ...], *, least: int = 1) -> None:
    if len(platforms) < least:
        raise ManifestError("'platforms' is empty", hint='Write platforms = ["linux-x86_64"]')
    for platform in platforms:
        check_platform(platform)
    _refuse_twice(list(platforms), "the platform")


def _refuse_twice(names: list[str], what: str) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ManifestError(f"{what} {name} is there twice", hint="Remove one of them")
