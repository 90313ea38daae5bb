"""Names in the repository: target paths, roles, and which role may sign which path."""

from __future__ import annotations

from repoint.model.baseline import BaselineName
from repoint.model.errors import NameNotAllowedError
from repoint.model.names import check_component, check_product
from repoint.model.version import Letter

ROOT = "root"
TARGETS = "targets"
SNAPSHOT = "snapshot"
TIMESTAMP = "timestamp"
TOP_LEVEL_ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)

_CATALOG_SUFFIX = ".catalog"
_HALT_SUFFIX = ".halt"
_SUFFIXES = (_CATALOG_SUFFIX, _HALT_SUFFIX)


def baseline_path(product: str, name: BaselineName) -> str:
    """Return the target path of a baseline."""
    return f"{_folder(product, 'baselines', name)}.json"


def improvement_path(product: str, name: BaselineName, letter: str) -> str:
    """Return the target path of an improvement."""
    return f"{_folder(product, 'improvements', name)}/{Letter(letter)}.json"


def patch_path(product: str, name: BaselineName, letter: str, component: str) -> str:
    """Return the target path of an improvement's patch for one component."""
    folder = _folder(product, "patches", name)
    return f"{folder}/{Letter(letter)}/{check_component(component)}.patch"


def catalog_path(product: str) -> str:
    """Return the target path of a product's catalog."""
    return f"{check_product_role(product)}/catalog.json"


def catalog_role(product: str) -> str:
    """Return the role that signs a product's catalog and nothing else."""
    return check_product_role(product) + _CATALOG_SUFFIX


def halt_path(product: str) -> str:
    """Return the target path of a product's halts."""
    return f"{check_product_role(product)}/halt.json"


def halt_role(product: str) -> str:
    """Return the role that signs a product's halts and nothing else."""
    return check_product_role(product) + _HALT_SUFFIX


def product_patterns(product: str) -> list[str]:
    """Return the paths that a product's role may sign or delegate; ``*`` is one whole part."""
    return [
        f"{product}/baselines/*/*/*.json",
        f"{product}/improvements/*/*/*/*.json",
        f"{product}/patches/*/*/*/*/*.patch",
        catalog_path(product),
        halt_path(product),
    ]


def check_product_role(product: str) -> str:
    """Return ``product`` if it may name a product and its role.

    Raises:
        NameNotAllowedError: The name is malformed, or is or may become the name of another role.
    """
    check_product(product)
    if product in TOP_LEVEL_ROLES or product.endswith(_SUFFIXES):
        raise NameNotAllowedError(
            f"{product!r} cannot name a product in a repository, because a role has that name",
            hint=f"Use a name that is none of {', '.join(TOP_LEVEL_ROLES)} and does not end in"
            f" {' or '.join(_SUFFIXES)}",
        )
    return product


def delegator_of(role: str) -> str:
    """Return the role whose metadata lists the keys of ``role``."""
    if role in TOP_LEVEL_ROLES:
        return ROOT
    return role.rpartition(".")[0] if role.endswith(_SUFFIXES) else TARGETS


def roles_for(target_path: str) -> tuple[str, ...]:
    """Return the roles in which a device looks for a target, in that order."""
    product = target_path.partition("/")[0]
    return product, *(product + suffix for suffix in _SUFFIXES)


def expiry_days(role: str) -> int:
    """Return the default lifetime of a role's signature, in days.

    Signatures of online roles last only as long as it may take to notice that nothing refreshes
    them. Those of roles whose keys may be offline last a year.
    """
    if role.endswith(_SUFFIXES):
        return 90
    return {SNAPSHOT: 30, TIMESTAMP: 7}.get(role, 365)


def _folder(product: str, kind: str, name: BaselineName) -> str:
    check_product_role(product)
    return f"{product}/{kind}/{name.platform}/{name.version}/{name.build}"
