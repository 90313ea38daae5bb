"""The parts of large records that the world is told, read without the rest.

A record lists every file of a tree. After each publication all records are read, so what nobody is
told is skipped. The repository has verified the bytes against what is signed.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from repoint.model.baseline import About, BaselineName, RestartScope
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import LetteredAdvisory
from repoint.repository import names
from repoint.repository.repository import Repository


class ComponentOutline(msgspec.Struct, frozen=True):
    """A component of a baseline."""

    name: str
    restart: RestartScope = "app"


class BaselineOutline(msgspec.Struct, frozen=True):
    """A baseline; see `model.baseline`."""

    created: int
    components: tuple[ComponentOutline, ...]
    about: About = About()


class ImprovedOutline(msgspec.Struct, frozen=True):
    """A component of an improvement."""

    name: str
    seal: str


class ImprovementOutline(msgspec.Struct, frozen=True):
    """An improvement; see `model.improvement`."""

    letter: str
    created: int
    advisories: tuple[LetteredAdvisory, ...]
    components: tuple[ImprovedOutline, ...]
    dropped: tuple[str, ...] = ()
    renamed: dict[str, str] = {}


Outline = TypeVar("Outline", BaselineOutline, ImprovementOutline)


def baseline_outline(repository: Repository, product: str, name: BaselineName) -> BaselineOutline:
    """Read the outline of a published baseline.

    Raises:
        DamagedRepositoryError: The file is missing or differs from what was signed.
        InvalidRecordError: It is malformed.
    """
    return _read(repository, names.baseline_path(product, name), BaselineOutline)


def improvement_outline(
    repository: Repository, product: str, name: BaselineName, letter: str
) -> ImprovementOutline:
    """Read the outline of a published improvement.

    Raises:
        DamagedRepositoryError: The file is missing or differs from what was signed.
        InvalidRecordError: It is malformed.
    """
    return _read(repository, names.improvement_path(product, name, letter), ImprovementOutline)


def _read(repository: Repository, path: str, kind: type[Outline]) -> Outline:
    try:
        return msgspec.json.decode(repository.read_target(path), type=kind)
    except msgspec.DecodeError as error:
        raise InvalidRecordError(f"{path} is malformed: {error}") from None
