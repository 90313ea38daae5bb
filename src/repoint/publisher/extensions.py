"""The image that an improvement becomes on the system that its baseline belongs to.

The device makes the same image from what the patches gave, and installs it only if its root hash is
the one in the signed improvement. So nothing of it has to be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from repoint.image.erofs import FIRST, Image
from repoint.image.layer_image import layer_image, layered
from repoint.image.verity import HashTree
from repoint.model.baseline import Baseline, BaselineName, Component
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import Improvement
from repoint.model.system import Extension, System, release_files, why_unfit
from repoint.publisher.catalogs import read_catalog, read_improvement
from repoint.publisher.drafts import Draft
from repoint.publisher.errors import UnfitForSystemError
from repoint.repository.repository import Repository

Contents = Mapping[str, Callable[[str], Path]]
"""For each component what tells where the content of a changed file is."""


def require_fit(components: Iterable[Component]) -> None:
    """Refuse components that no improvement could be put over on a system.

    Raises:
        UnfitForSystemError: It is such a one, or two hold the same file.
    """
    owners: dict[str, str] = {}
    for component in components:
        for entry in component.entries:
            why = why_unfit(entry.path, entry.kind)
            if why:
                raise UnfitForSystemError(
                    f"/{entry.path} of {component.name} {why}",
                    hint="Name sources whose paths begin below /, or leave --os-release out",
                )
            owner = owners.setdefault(entry.path, component.name)
            if owner != component.name and entry.kind != "folder":
                raise UnfitForSystemError(
                    f"/{entry.path} is part of {owner} and of {component.name}",
                    hint="Leave it out of one of them",
                )


def make_extension(
    baseline: Baseline, system: System, improvement: Improvement, contents: Contents, first: int
) -> Extension:
    """Say what image an improvement becomes; the image itself is not kept.

    Args:
        baseline: Its baseline.
        system: The baseline's system.
        improvement: The improvement, all but its extension.
        contents: Where what it changes is.
        first: The number of the image's first inode.

    Raises:
        UnfitForSystemError: It can become none.
        OSError: A file cannot be read.
    """
    folders = {e.path for c in baseline.components for e in c.entries if e.kind == "folder"}
    for improved in improvement.components:
        for change in improved.layer.changes:
            path, kind = change.entry.path, change.entry.kind
            why = why_unfit(path, kind)
            if path in folders and kind != "folder":
                why = f"is a {kind} in the place of a folder, in which other files may lie"
            if why:
                raise UnfitForSystemError(
                    f"/{path} of {improved.name} {why}", hint="Such a change needs a full release"
                )
    try:
        image = _image(baseline, system, improvement, contents, first)
    except InvalidRecordError as error:
        raise UnfitForSystemError(
            f"{improvement.label} cannot be one image: {error.message}",
            hint="Put the components right; such a change may need a full release",
        ) from None
    tree = HashTree()
    for chunk in image.chunks():
        tree.update(chunk)
    return Extension(tree.root_hash, image.size, first)


def first_number(
    repository: Repository, baseline: Baseline, system: System, drafts: Iterable[Draft]
) -> int:
    """The least number that no image of a baseline's letters has given to an inode yet."""
    ends = [
        _image(baseline, system, known, {}, known.extension.first).end
        for known in _known(repository, baseline.product, baseline.name, drafts)
        if known.extension is not None
    ]
    return max([FIRST, *ends])


def _known(
    repository: Repository, product: str, name: BaselineName, drafts: Iterable[Draft]
) -> list[Improvement]:
    """Every letter of a baseline, also those that were withdrawn: devices may still run them."""
    offers = read_catalog(repository, product).offers_for(name)
    published = [read_improvement(repository, product, name, offer.letter) for offer in offers]
    waiting = [draft.improvement for draft in drafts if draft.improvement.baseline == name]
    return published + waiting


def _image(
    baseline: Baseline, system: System, improvement: Improvement, contents: Contents, first: int
) -> Image:
    before = {component.name: component.entries for component in baseline.components}
    return layer_image(
        [
            layered(before[part.name], part.layer, contents.get(part.name, Path))
            for part in improvement.components
        ],
        release_files(baseline.product, system),
        created=improvement.created,
        first=first,
    )
