"""What the Debian package takes from Debian and what it brings itself."""

from __future__ import annotations

import importlib.metadata as metadata
import re
from pathlib import Path

from packaging.requirements import Requirement

BUNDLED = Path(__file__).with_name("bundled.txt")
EXTRAS = ("page", "vendor")
"""The Debian package is whole: a device, the Settings page and the vendor's commands."""

DEBIAN = {
    "argon2-cffi": "python3-argon2 (>= 21.1)",
    "attrs": "python3-attr (>= 22.2)",
    "babel": "python3-babel (>= 2.10.3)",
    "h11": "python3-h11 (>= 0.14)",
    "idna": "python3-idna (>= 3.3)",
    "jeepney": "python3-jeepney (>= 0.8)",
    "jinja2": "python3-jinja2 (>= 3.1.2)",
    "markupsafe": "python3-markupsafe (>= 2.1.2)",
    "numpy": "python3-numpy (>= 1:1.24.2)",
    "python-debian": "python3-debian (>= 0.1.49)",
    "python-pam": "python3-pampy (>= 2.0.2), python3-six",
    "rich": "python3-rich (>= 13.3.1)",
    "shellingham": "python3-shellingham",
    "tomli-w": "python3-tomli-w (>= 1.0)",
}
"""Debian's package for each distribution. The bounds are Debian 12's; the tests pass with those."""

UNUSED = {"pycparser"}
"""Needed to compile with cffi only, which nothing here does."""


def bundled() -> list[str]:
    """Return the requirements that the Debian package brings itself."""
    lines = [line.partition("#")[0].strip() for line in BUNDLED.read_text().splitlines()]
    return [line for line in lines if line]


def depends(modules: Path) -> str:
    """Return Debian's packages for the control file.

    Args:
        modules: The folder with Repoint and all that is bundled.

    Raises:
        SystemExit: A dependency is neither Debian's nor bundled.
    """
    installed = {_normal(each.name): each for each in metadata.distributions(path=[str(modules)])}
    needed: set[str] = set()
    for name, distribution in installed.items():
        extras = EXTRAS if name == "repoint" else ()
        for requirement in map(Requirement, distribution.requires or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                needed.add(_normal(requirement.name))
    needed -= installed.keys() | UNUSED
    if missing := needed - DEBIAN.keys():
        raise SystemExit(
            f"{', '.join(sorted(missing))}: name Debian's package in {Path(__file__).name}, "
            f"or bundle it with a line in {BUNDLED.name}"
        )
    return ", ".join(DEBIAN[name] for name in sorted(needed))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
