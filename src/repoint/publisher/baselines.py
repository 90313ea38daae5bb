"""Registration of baselines: the sealed state of all components of one release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from repoint.fs.durable import rename_durably, sync_tree
from repoint.fs.removal import remove_tree
from repoint.fs.scratch import clear_scratch, scratch_folder
from repoint.fs.uninterrupted import uninterrupted
from repoint.model.baseline import (
    About,
    Baseline,
    BaselineName,
    Component,
    RestartScope,
    check_contacts,
)
from repoint.model.catalog import Catalog, ListedBaseline
from repoint.model.encoding import encode_record
from repoint.model.names import check_component, check_product
from repoint.model.system import System
from repoint.publisher.catalog.catalogs import put_catalog, read_catalog
from repoint.publisher.errors import BaselineExistsError, UnknownBaselineError
from repoint.publisher.feeds.announce import announced
from repoint.publisher.improve.extensions import require_fit
from repoint.publisher.ingest import unpack_source
from repoint.repository import names
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository
from repoint.tree.digest import seal_of
from repoint.tree.scan import ALWAYS_IGNORED, scan_tree

_FOLDER = "baselines"
_PRIVATE = 0o700


@dataclass(frozen=True)
class ComponentSource:
    """A component of a release.

    Attributes:
        name: The component's name.
        source: Folder, wheel, .deb or tar archive that holds the component.
        restart: What must restart for a fix of it to be in force.
        health: Command that must succeed after an activation; empty for none.
        ignore: Shell patterns of names or paths that programs write among the component's files.
    """

    name: str
    source: Path
    restart: RestartScope = "app"
    health: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """A release of a product, to be registered as a baseline.

    Attributes:
        product: The product's name.
        name: Platform, version and build.
        components: All components of the baseline.
        system: The system whose files the components are; their paths are relative to ``/`` then.
        about: The product's name, vendor and contact for people, if given.
        icon: The product's icon, a PNG; empty if it has none.

    Raises:
        InvalidRecordError: The contact or the address for help is neither https nor mail.
    """

    product: str
    name: BaselineName
    components: tuple[ComponentSource, ...]
    system: System | None = None
    about: About | None = None
    icon: bytes = b""

    def __post_init__(self) -> None:
        if self.about is not None:
            check_contacts(self.about)


def add_baseline(
    repository: Repository,
    release: Release,
    *,
    passphrases: Passphrases,
    new_passphrase: Callable[[], bytes | None],
    created: int,
) -> Baseline:
    """Seal every component of a release and publish the baseline.

    The trees are kept in the private part of the repository, because every improvement is built
    against them. The commit point is the publication; nothing changes before it.

    Args:
        repository: The vendor's repository.
        release: The release. A new product gets its own roles and keys.
        passphrases: Returns the passphrase of a role's key.
        new_passphrase: Returns the passphrase for the keys of a new product, or None to leave them
            unencrypted.
        created: Seconds since 1970.

    Raises:
        BaselineExistsError: The baseline is already registered.
        UnfitForSystemError: A system extension cannot hold improvements of a component.
        RepointError: A source is unfit, or the repository cannot be signed.
    """
    product, name = check_product(release.product), release.name
    target = baseline_folder(repository, product, name)
    clear_scratch(target)
    catalog = _catalog(repository, product)
    if any(listed.name == name for listed in catalog.baselines):
        raise BaselineExistsError(
            f"{product} {name} is already registered",
            hint="A baseline never changes; register a new release under its own version or build",
        )
    _make_private(repository)
    with scratch_folder(target, mode=_PRIVATE) as folder:
        trees = folder / "trees"
        trees.mkdir()
        system = release.system is not None
        components = tuple(_seal(source, trees, system=system) for source in release.components)
        if release.system is not None:
            require_fit(components)
        baseline = Baseline(
            format="1.0", product=product, name=name, created=created, components=components,
            system=release.system, about=release.about, icon=release.icon,
        )  # fmt: skip
        listed = ListedBaseline(name, {c.name: c.seal for c in components})
        # A registration that failed earlier may have left its trees; they were never published.
        remove_tree(target)
        sync_tree(trees)
        try:
            rename_durably(trees, target)
            with announced(repository, passphrases) as publication:
                if product not in repository.products():
                    publication.add_product(product, passphrase=new_passphrase())
                    catalog = Catalog("1.0", product)
                else:
                    catalog = read_catalog(repository, product)
                catalog = msgspec.structs.replace(catalog, baselines=(*catalog.baselines, listed))
                path = names.baseline_path(product, name)
                publication.add_targets(product, {path: encode_record(baseline)})
                put_catalog(publication, catalog)
        except BaseException:
            with uninterrupted():
                if _catalog(repository, product).listed(name) is None:
                    remove_tree(target)
            raise
    return baseline


def find_baseline(
    catalog: Catalog, version: str, build: str | None, platform: str | None
) -> BaselineName:
    """Return the one baseline that a version and, if necessary, build and platform identify.

    Raises:
        UnknownBaselineError: No baseline matches, or several do.
    """
    matches = [
        listed.name
        for listed in catalog.baselines
        if listed.name.version == version
        and build in (None, listed.name.build)
        and platform in (None, listed.name.platform)
    ]
    if len(matches) == 1:
        return matches[0]
    known = "; ".join(str(listed.name) for listed in catalog.baselines) or "none"
    if not matches:
        wanted = " ".join(
            filter(None, [version, build and f"({build})", platform and f"for {platform}"])
        )
        raise UnknownBaselineError(
            f"{catalog.product} has no baseline {wanted}",
            hint=f"Register it with `repoint baseline add`, or choose another: {known}",
        )
    raise UnknownBaselineError(
        f"{catalog.product} has {len(matches)} baselines {version}",
        hint=f"Choose one with --build and --platform: {'; '.join(map(str, matches))}",
    )


def baseline_folder(repository: Repository, product: str, name: BaselineName) -> Path:
    """Return the folder that holds the trees of a baseline, one folder per component."""
    return repository.path / _FOLDER / product / name.platform / name.version / name.build


def _make_private(repository: Repository) -> None:
    """Keep other accounts out of trees with the modes that a source has chosen.

    A source may have set-user-ID programs, and files to which everybody may write.
    """
    folder = repository.path / _FOLDER
    if folder.is_dir():  # older versions of Repoint let others in
        folder.chmod(_PRIVATE)


def _catalog(repository: Repository, product: str) -> Catalog:
    if product not in repository.products():
        return Catalog(format="1.0", product=product)
    return read_catalog(repository, product)


def _seal(source: ComponentSource, trees: Path, *, system: bool) -> Component:
    check_component(source.name)
    tree = trees / source.name
    written = unpack_source(source.source, tree, system=system)
    source = replace(source, ignore=(*ALWAYS_IGNORED, *written, *source.ignore))
    entries = scan_tree(tree, ignore=source.ignore)
    return Component(
        name=source.name,
        seal=seal_of(entries),
        entries=entries,
        restart=source.restart,
        health=source.health,
        ignore=source.ignore,
    )
