"""Registering baselines: the sealed state of all components of one release."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repoint.fs.durable import sync
from repoint.fs.removal import remove_tree
from repoint.fs.scratch import clear_scratch, scratch_folder
from repoint.model.baseline import Baseline, BaselineName, Component, RestartScope
from repoint.model.catalog import Catalog, ListedBaseline
from repoint.model.encoding import encode_record
from repoint.model.names import check_component, check_product
from repoint.model.system import System
from repoint.publisher.catalogs import read_catalog
from repoint.publisher.errors import BaselineExistsError, UnknownBaselineError
from repoint.publisher.extensions import require_fit
from repoint.publisher.ingest import unpack_source
from repoint.repository import names
from repoint.repository.repository import Repository
from repoint.tree.digest import seal_of
from repoint.tree.scan import ALWAYS_IGNORED, WRITTEN_BY_INSTALLERS, scan_tree


@dataclass(frozen=True)
class ComponentSource:
    """A component as the vendor names it: its source, and how devices should live with it."""

    name: str
    source: Path
    restart: RestartScope = "app"
    health: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def add_baseline(
    repository: Repository,
    product: str,
    name: BaselineName,
    sources: Sequence[ComponentSource],
    *,
    passphrases: Callable[[str], bytes],
    new_passphrase: Callable[[], bytes | None],
    created: int,
    system: System | None = None,
) -> Baseline:
    """Seal every component of a release and publish the baseline.

    The trees are kept in the vendor's private part of the repository, because every improvement
    is built against them. The commit point is the publication; before it nothing is changed.

    Args:
        repository: Where to register it.
        product: The product; it gets its own roles and keys with its first baseline.
        name: Platform, version and build.
        sources: All components of the baseline.
        passphrases: Gives the passphrase of a role's key.
        new_passphrase: Gives the passphrase for the keys of a new product; nothing leaves them
            unencrypted.
        created: Now, in seconds since 1970.
        system: The system whose files the components are.

    Raises:
        BaselineExistsError: It is registered already.
        UnfitForSystemError: No improvement of a component could be put over that system.
        RepointError: A source is unfit, or the repository cannot be signed.
    """
    check_product(product)
    place = baseline_folder(repository, product, name)
    clear_scratch(place)
    catalog = _catalog(repository, product)
    if any(listed.name == name for listed in catalog.baselines):
        raise BaselineExistsError(
            f"{product} {name} is registered already",
            hint="A baseline never changes; register a new release under its own version or build",
        )
    with scratch_folder(place) as folder:
        trees = folder / "trees"
        trees.mkdir()
        components = tuple(_seal(source, trees) for source in sources)
        if system is not None:
            require_fit(components)
        baseline = Baseline(
            format=1, product=product, name=name, created=created, components=components,
            system=system,
        )  # fmt: skip
        listed = ListedBaseline(name, {c.name: c.seal for c in components})
        catalog = Catalog(1, product, (*catalog.baselines, listed), catalog.offers)
        # A registration that failed before may have left its trees; they were never published.
        remove_tree(place)
        sync(trees)
        trees.rename(place)
        sync(place.parent)
        try:
            with repository.publication(passphrases) as publication:
                if product not in repository.products():
                    publication.add_product(product, passphrase=new_passphrase())
                path = names.baseline_path(product, name)
                publication.add_targets(product, {path: encode_record(baseline)})
                publication.put_catalog(product, encode_record(catalog))
        except BaseException:
            if not any(b.name == name for b in _catalog(repository, product).baselines):
                remove_tree(place)
            raise
    return baseline


def find_baseline(
    catalog: Catalog, version: str, build: str | None, platform: str | None
) -> BaselineName:
    """The one baseline that a vendor means by a version and, if need be, build and platform.

    Raises:
        UnknownBaselineError: None is meant, or several are.
    """
    found = [
        listed.name
        for listed in catalog.baselines
        if listed.name.version == version
        and build in (None, listed.name.build)
        and platform in (None, listed.name.platform)
    ]
    if len(found) == 1:
        return found[0]
    known = "; ".join(str(listed.name) for listed in catalog.baselines) or "none"
    if not found:
        wanted = " ".join(
            filter(None, [version, build and f"({build})", platform and f"for {platform}"])
        )
        raise UnknownBaselineError(
            f"{catalog.product} has no baseline {wanted}",
            hint=f"Register it with `repoint baseline add`, or name one of these: {known}",
        )
    raise UnknownBaselineError(
        f"{catalog.product} has {len(found)} baselines {version}",
        hint=f"Say which with --build and --platform: {'; '.join(map(str, found))}",
    )


def baseline_folder(repository: Repository, product: str, name: BaselineName) -> Path:
    """Where the vendor keeps the trees of a baseline, one folder a component."""
    return repository.path / "baselines" / product / name.platform / name.version / name.build


def _catalog(repository: Repository, product: str) -> Catalog:
    if product not in repository.products():
        return Catalog(format=1, product=product)
    return read_catalog(repository, product)


def _seal(source: ComponentSource, trees: Path) -> Component:
    check_component(source.name)
    tree = trees / source.name
    unpack_source(source.source, tree)
    installers = WRITTEN_BY_INSTALLERS if source.source.suffix == ".whl" else ()
    source = replace(source, ignore=(*ALWAYS_IGNORED, *installers, *source.ignore))
    entries = scan_tree(tree, ignore=source.ignore)
    for folder, _, files in os.walk(tree):
        for file in files:
            if not Path(folder, file).is_symlink():
                sync(Path(folder, file))
        sync(Path(folder))
    return Component(
        name=source.name,
        seal=seal_of(entries),
        entries=entries,
        restart=source.restart,
        health=source.health,
        ignore=source.ignore,
    )
