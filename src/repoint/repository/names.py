"""Names in the repository: target paths, roles, and which role may sign which path."""

from __future__ import annotations

from repoint.model.errors import NameNotAllowedError
from repoint.model.names import check_component, check_platform, check_product
from repoint.model.version import Letter, Version

ROOT = "root"
TARGETS = "targets"
SNAPSHOT = "snapshot"
TIMESTAMP = "timestamp"
TOP_LEVEL_ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)

_CATALOG_SUFFIX = ".catalog"


def baseline_path(product: str, platform: str, version: str, build: str) -> str:
    """Target path of a baseline."""
    return f"{_place(product, 'baselines', platform, version, build)}.json"


def improvement_path(product: str, platform: str, version: str, build: str, letter: str) -> str:
    """Target path of an improvement."""
    place = _place(product, "improvements", platform, version, build)
    return f"{place}/{Letter(letter)}.json"


def patch_path(
    product: str, platform: str, version: str, build: str, letter: str, component: str
) -> str:
    """Target path of the patch that an improvement brings for one component."""
    place = _place(product, "patches", platform, version, build)
    return f"{place}/{Letter(letter)}/{check_component(component)}.patch"


def catalog_path(product: str) -> str:
    """Target path of a product's catalog."""
    return f"{check_product_role(product)}/catalog.json"


def catalog_role(product: str) -> str:
    """The role that signs a product's catalog and nothing else."""
    return check_product_role(product) + _CATALOG_SUFFIX


def product_patterns(product: str) -> list[str]:
    """Paths that a product's role may sign or delegate; ``*`` stands for one whole part."""
    return [
        f"{product}/baselines/*/*/*.json",
        f"{product}/improvements/*/*/*/*.json",
        f"{product}/patches/*/*/*/*/*.patch",
        catalog_path(product),
    ]


def check_product_role(product: str) -> str:
    """Return ``product`` if it may name a product and its role.

    Raises:
        NameNotAllowedError: It has no valid form, or another role has or may get that name.
    """
    check_product(product)
    if product in TOP_LEVEL_ROLES or product.endswith(_CATALOG_SUFFIX):
        raise NameNotAllowedError(
            f"{product!r} cannot name a product in a repository, because a role is named so",
            hint=f"Use a name that is none of {', '.join(TOP_LEVEL_ROLES)} and does not end in"
            f" {_CATALOG_SUFFIX}",
        )
    return product


def delegator_of(role: str) -> str:
    """The role whose metadata says which keys ``role`` has."""
    if role in TOP_LEVEL_ROLES:
        return ROOT
    return role.removesuffix(_CATALOG_SUFFIX) if role.endswith(_CATALOG_SUFFIX) else TARGETS


def roles_for(target_path: str) -> tuple[str, str]:
    """The roles in which a device looks for a target, in its order."""
    product = target_path.partition("/")[0]
    return product, product + _CATALOG_SUFFIX


def expiry_days(role: str) -> int:
    """Days for which a role's signature lasts, unless the settings say otherwise.

    Online roles last only as long as it may take to notice that nobody refreshes them; roles
    whose keys may be offline last a year.
    """
    if role.endswith(_CATALOG_SUFFIX):
        return 90
    return {SNAPSHOT: 30, TIMESTAMP: 7}.get(role, 365)


def _place(product: str, kind: str, platform: str, version: str, build: str) -> str:
    check_product_role(product)
    check_platform(platform)
    return f"{product}/{kind}/{platform}/{Version(version)}/{Version(build)}"
