"""Which baselines of a product a command works on: those of the manifest, or those of its options.

What the options of a command say goes before what the manifest says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog
from repoint.publisher.errors import ManifestError, UnknownBaselineError
from repoint.publisher.manifest.reader import ManifestFile, find_manifest


@dataclass(frozen=True)
class Choice:
    """The baselines that the options of a command name; None for any."""

    version: str | None = None
    build: str | None = None
    platform: str | None = None

    def fits(self, name: BaselineName) -> bool:
        """Return whether a baseline is one of them."""
        return (
            self.version in (None, name.version)
            and self.build in (None, name.build)
            and self.platform in (None, name.platform)
        )

    def __str__(self) -> str:
        build, platform = self.build and f"({self.build})", self.platform and f"for {self.platform}"
        return " ".join(filter(None, (self.version, build, platform)))


@dataclass(frozen=True)
class LeftOut:
    """A baseline that a command does not work on, and why."""

    name: BaselineName
    reason: str


def manifest_of(product: str | None, path: Path | None) -> ManifestFile | None:
    """Return the manifest that a command works with, if any.

    Args:
        product: The product that the command names, if any. Another product than that of a manifest
            that merely lies in the working folder has nothing to do with it.
        path: The manifest that the command names, if any.

    Raises:
        ManifestError: It cannot be read, does not fit, or is the one of another product.
    """
    file = find_manifest(path)
    if file is None or product in (None, file.content.product.id):
        return file
    if path is None:
        return None
    raise ManifestError(
        f"{path} is the manifest of {file.content.product.id}, not of {product}",
        hint="Leave out the product, or name its manifest",
    )


def names_to_add(file: ManifestFile, choice: Choice) -> tuple[BaselineName, ...]:
    """Return the baselines to register.

    Version and build of a release that the manifest does not name yet are enough.

    Raises:
        UnknownBaselineError: The manifest names no such baseline, and the options not enough.
    """
    names = [name for name in file.content.names() if choice.fits(name)]
    if not names and choice.version is not None and choice.build is not None:
        platforms = (
            (choice.platform,) if choice.platform is not None else file.content.product.platforms
        )
        names = [BaselineName(each, choice.version, choice.build) for each in platforms]
    if not names:
        raise UnknownBaselineError(
            f"{file.path} has no baseline {choice}".rstrip(),
            hint="Add it under [[baseline]], or give --version and --build",
        )
    return tuple(names)


def names_to_improve(
    file: ManifestFile, catalog: Catalog, choice: Choice
) -> tuple[tuple[BaselineName, ...], tuple[LeftOut, ...]]:
    """Return the baselines to improve, and those that are left out.

    Without a version, they are those of the manifest, or all that are registered if it names none.

    Raises:
        UnknownBaselineError: There is none.
    """
    registered = {listed.name: listed for listed in catalog.baselines}
    named = file.content.names()
    if choice.version is not None or not named:
        wanted = [name for name in registered if choice.fits(name)]
        others: list[BaselineName] = []
    else:
        wanted = [name for name in named if choice.fits(name)]
        others = [name for name in registered if choice.fits(name) and name not in named]
    cared_for = [n for n in wanted if n in registered and registered[n].retired is None]
    left_out = [
        LeftOut(name, "retired" if name in registered else "not registered")
        for name in wanted
        if name not in cared_for
    ]
    left_out += [
        LeftOut(name, f"not in {file.path.name}")
        for name in others
        if registered[name].retired is None
    ]
    if not cared_for:
        raise _none_left(catalog, choice, left_out)
    return tuple(cared_for), tuple(left_out)


def _none_left(
    catalog: Catalog, choice: Choice, left_out: Iterable[LeftOut]
) -> UnknownBaselineError:
    wanted = f"baseline {choice}".rstrip()
    reasons = "; ".join(f"{each.name} is {each.reason}" for each in left_out)
    known = "; ".join(str(listed.name) for listed in catalog.baselines) or "none"
    return UnknownBaselineError(
        f"{catalog.product} has no {wanted} to improve" + (f": {reasons}" if reasons else ""),
        hint=f"Register it with `repoint baseline add`, or choose another: {known}",
    )
