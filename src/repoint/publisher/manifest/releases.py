"""The releases that a manifest describes, to be registered as baselines."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from repoint.fs.regular import open_regular
from repoint.model.baseline import About, BaselineName, RestartScope
from repoint.model.errors import InvalidRecordError
from repoint.model.icon import MAX_ICON, check_icon
from repoint.model.system import System
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.catalog.catalogs import read_catalog
from repoint.publisher.errors import ManifestError
from repoint.publisher.manifest.choice import Choice, names_to_add
from repoint.publisher.manifest.patterns import find_source
from repoint.publisher.manifest.reader import ManifestFile
from repoint.publisher.manifest.record import ManifestComponent
from repoint.repository.repository import Repository


@dataclass(frozen=True)
class ComponentOptions:
    """What the options of a command say about a component; None for nothing."""

    source: str | None = None
    restart: RestartScope | None = None
    health: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ReleaseOptions:
    """What the options of a command say; it goes before what the manifest says.

    Attributes:
        components: The components, by name. One that the manifest does not have needs a source.
        about: How the product presents itself; an empty text says nothing.
        system: The system whose files the components are, if any.
    """

    components: Mapping[str, ComponentOptions] = field(default_factory=dict)
    about: About = field(default_factory=About)
    system: System | None = None


def releases_to_add(
    repository: Repository, file: ManifestFile, choice: Choice, options: ReleaseOptions
) -> tuple[list[Release], list[BaselineName]]:
    """Return the releases to register, and the names of those that are registered already.

    All sources are found before anything is registered.

    Raises:
        ManifestError: The icon cannot be read, or is no small PNG.
        UnknownBaselineError: The manifest names no such baseline.
        MissingSourceError: The pattern of a source leads to nothing, or to several files.
    """
    product = file.content.product.id
    names = names_to_add(file, choice)
    known: Collection[BaselineName] = ()
    if product in repository.products():
        known = {listed.name for listed in read_catalog(repository, product).baselines}
    icon = _icon(file)
    releases = [_release(file, name, options, icon) for name in names if name not in known]
    return releases, [name for name in names if name in known]


def _icon(file: ManifestFile) -> bytes:
    if not file.content.product.icon:
        return b""
    path = file.folder / file.content.product.icon
    try:
        with open(open_regular(path, os.O_RDONLY), "rb") as icon:
            return check_icon(icon.read(MAX_ICON + 1))
    except OSError as error:
        raise ManifestError(
            f"The icon {path} cannot be read: {error.strerror}",
            hint=f"Correct 'icon' in {file.path.name}",
        ) from None
    except ValueError:  # a NUL character
        raise ManifestError(f"{file.path.name}: 'icon' is no path", hint="Name a PNG") from None
    except InvalidRecordError as error:
        raise ManifestError(f"{path}: {error.message}", hint=error.hint) from None


def _release(
    file: ManifestFile, name: BaselineName, options: ReleaseOptions, icon: bytes
) -> Release:
    product = file.content.product
    described = {part.id: part for part in file.content.component}
    about = msgspec.structs.replace(
        file.content.about,
        **{key: text for key, text in msgspec.structs.asdict(options.about).items() if text},
    )
    return Release(
        product.id,
        name,
        tuple(
            _component(file.folder, name, each, described.get(each), options)
            for each in dict.fromkeys((*described, *options.components))
        ),
        options.system,
        about if about != About() else None,
        icon,
    )


def _component(
    folder: Path,
    name: BaselineName,
    component: str,
    described: ManifestComponent | None,
    options: ReleaseOptions,
) -> ComponentSource:
    given = options.components.get(component, ComponentOptions())
    if given.source is not None:
        pattern, folder = given.source, Path()
    else:
        assert described is not None  # noqa: S101 - the command has checked that
        pattern = described.source
    path = find_source(pattern, folder, component, name)
    if described is None:
        return component_source(component, path, given)
    source = ComponentSource(
        component, path, described.restart, tuple(shlex.split(described.health)), described.ignore
    )
    return _changed(source, given)


def component_source(component: str, path: Path, given: ComponentOptions) -> ComponentSource:
    """Return a component that options alone describe."""
    return _changed(ComponentSource(component, path), given)


def _changed(source: ComponentSource, given: ComponentOptions) -> ComponentSource:
    return replace(
        source,
        restart=source.restart if given.restart is None else given.restart,
        health=source.health if given.health is None else given.health,
        ignore=source.ignore if given.ignore is None else given.ignore,
    )
