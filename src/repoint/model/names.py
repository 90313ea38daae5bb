"""Allowed forms of the names that appear in commands, paths and URLs.

Names become parts of target paths in the repository and of file names on devices, so their
alphabet is small, and no name can be ``.`` or ``..`` or contain a slash.
"""

from __future__ import annotations

import re

from repoint.model.errors import NameNotAllowedError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9+_-]|\.(?!\.)){0,62}")
_PLATFORM = re.compile(r"[a-z0-9]+-[a-z0-9_]+(?:-[a-z0-9_]+)*")


_HINTS = {
    "product": "Use at most 63 lower-case letters, digits and hyphens, as in acme-kiosk",
    "component": "Use at most 63 lower-case letters, digits and hyphens, as in pillow",
    "ring": "Use at most 63 lower-case letters, digits and hyphens, as in early",
    "platform": "Write system and machine in lower case, as in linux-x86_64; a third part may name "
    "a device model, as in linux-aarch64-kiosk2",
}


def check_product(name: str) -> str:
    """Return ``name`` if it may name a product, such as ``acme-kiosk``."""
    return _check(name, _NAME, "product")


def check_component(name: str) -> str:
    """Return ``name`` if it may name a component, such as ``pillow``."""
    return _check(name, _NAME, "component")


def check_platform(name: str) -> str:
    """Return ``name`` if it may name a platform: system, machine and optionally device model."""
    return _check(name, _PLATFORM, "platform")


def check_ring(name: str) -> str:
    """Return ``name`` if it may name a ring of devices, such as ``early``."""
    return _check(name, _NAME, "ring")


def _check(name: str, form: re.Pattern[str], what: str) -> str:
    if not form.fullmatch(name) or len(name) > 63:
        raise NameNotAllowedError(f"{name[:80]!r} cannot name a {what}", hint=_HINTS[what])
    return name
