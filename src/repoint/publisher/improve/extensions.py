"""The image of an improvement for the system that its baseline belongs to.

A device builds the same image from the decoded patches, and installs it only if its root hash is
the one in the signed improvement. The image itself is never downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from repoint.image.erofs import FIRST, Image
from repoint.image.layer_image import layer_image, layer_overlay
from repoint.image.verity import HashTree
from repoint.model.baseline import Baseline, BaselineName, Component
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import Improvement
from repoint.model.system import Extension, System, release_files, why_unfit
from repoint.publisher.catalog.catalogs import read_catalog, read_improvement
from repoint.publisher.errors import UnfitForSystemError
from repoint.publisher.improve.drafts import Draft
from repoint.repository.repository import Repository

Contents = Mapping[str, Callable[[str], Path]]
"""For each component, a function that returns the file with the content of a changed path."""


def require_fit(components: Iterable[Component]) -> None:
    """Refuse components whose improvements a system extension could not hold.

    Raises:
        UnfitForSystemError: A component has a path outside /usr and /opt, or two components have
            the same file.
    """
    owners: dict[str, str] = {}
    for component in components:
        for entry in component.entries:
            why = why_unfit(entry.path, entry.kind)
            if why:
                raise UnfitForSystemError(
                    f"/{entry.path} of {component.name} {why}",
                    hint="Name sources whose paths are relative to /, leave it out with --ignore, "
                    "or omit --os-release",
                )
            owner = owners.setdefault(entry.path, component.name)
            if owner != component.name and entry.kind != "folder":
                raise UnfitForSystemError(
                    f"/{entry.path} is part of {owner} and of {component.name}",
                    hint="Remove it from one of them",
                )


def make_extension(
    baseline: Baseline, system: System, improvement: Improvement, contents: Contents, first: int
) -> Extension:
    """Return the description of an improvement's image; the image itself is not kept.

    Args:
        baseline: The baseline.
        system: The baseline's system.
        improvement: The improvement, complete except for its extension.
        contents: The contents of the changed files.
        first: The number of the image's first inode.

    Raises:
        UnfitForSystemError: An image cannot hold the changes.
        OSError: A file cannot be read.
    """
    folders = {e.path for c in baseline.components for e in c.entries if e.kind == "folder"}
    for improved in improvement.components:
        for change in improved.layer.changes:
            path, kind = change.entry.path, change.entry.kind
            why = why_unfit(path, kind)
            if path in folders and kind != "folder":
                why = f"is a {kind} that replaces a folder, which may hold other files"
            if why:
                raise UnfitForSystemError(
                    f"/{path} of {improved.name} {why}", hint="Such a change needs a full release"
                )
    try:
        image = _image(baseline, system, improvement, contents, first)
    except InvalidRecordError as error:
        raise UnfitForSystemError(
            f"{improvement.label} cannot be one image: {error.message}",
            hint="Correct the components; such a change may need a full release",
        ) from None
    tree = HashTree()
    for chunk in image.chunks():
        tree.update(chunk)
    return Extension(tree.root_hash, image.size, first)


def first_number(
    repository: Repository, baseline: Baseline, system: System, drafts: Iterable[Draft]
) -> int:
    """Return the lowest inode number that no image of a baseline's letters uses yet."""
    ends = [
        _image(baseline, system, known, {}, known.extension.first).end
        for known in _known(repository, baseline.product, baseline.name, drafts)
        if known.extension is not None
    ]
    return max([FIRST, *ends])


def _known(
    repository: Repository, product: str, name: BaselineName, drafts: Iterable[Draft]
) -> list[Improvement]:
    """Return every improvement of a baseline, also withdrawn ones: devices may still run them."""
    offers = read_catalog(repository, product).offers_for(name)
    published = [read_improvement(repository, product, name, offer.letter) for offer in offers]
    unpublished = [draft.improvement for draft in drafts if draft.improvement.baseline == name]
    return published + unpublished


def _image(
    baseline: Baseline, system: System, improvement: Improvement, contents: Contents, first: int
) -> Image:
    before = {component.name: component.entries for component in baseline.components}
    return layer_image(
        [
            layer_overlay(before[part.name], part.layer, contents.get(part.name, Path))
            for part in improvement.components
        ],
        release_files(baseline.product, system),
        created=improvement.created,
        first=first,
    )
