"""Patterns of paths: where a vendor's build leaves a component, for each baseline."""

from __future__ import annotations

import glob
import os
import re
from difflib import get_close_matches
from pathlib import Path

from repoint.model.baseline import BaselineName
from repoint.publisher.errors import ManifestError, MissingSourceError

PLACEHOLDERS = ("version", "build", "platform", "arch")
"""What a pattern may have in braces. ``arch`` is the machine of the platform, such as x86_64."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
_MOST_SHOWN = 3
_MOST_CHARACTERS = 1000


def check_pattern(pattern: str) -> str:
    """Return ``pattern`` if it can lead to a source.

    Raises:
        ManifestError: It is empty, or has an unknown placeholder.
    """
    if not pattern.strip():
        raise ManifestError(
            "'source' is empty", hint="Name a folder, a wheel, a .deb or a tar archive"
        )
    if len(pattern) > _MOST_CHARACTERS or "\0" in pattern:
        raise ManifestError(
            f"'source' is no path: it has NUL or more than {_MOST_CHARACTERS:,} characters",
            hint="Name a folder, a wheel, a .deb or a tar archive",
        )
    for name in _PLACEHOLDER.findall(pattern):
        if name not in PLACEHOLDERS:
            close = get_close_matches(name, PLACEHOLDERS, n=1)
            meant = f"Did you mean {{{close[0]}}}? " if close else ""
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise ManifestError(
                f"'source' has the unknown placeholder {{{name}}}", hint=f"{meant}Use {known}"
            )
    return pattern


def find_source(pattern: str, folder: Path, component: str, name: BaselineName) -> Path:
    """Return the one path that a pattern leads to for a baseline.

    Args:
        pattern: The pattern; a path that exists as it is written needs none.
        folder: The folder that it is relative to.
        component: The component, for messages.
        name: The baseline.

    Raises:
        MissingSourceError: Nothing is there, or the pattern fits several paths.
    """
    values = {
        "version": name.version,
        "build": name.build,
        "platform": name.platform,
        "arch": name.platform.split("-")[1],
    }
    filled = _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), pattern)
    for path in (folder / pattern, folder / filled):
        if os.path.lexists(path):
            return path
    # `Path.glob` takes no absolute pattern.
    found = sorted(glob.glob(filled, root_dir=folder))  # noqa: PTH207
    if len(found) == 1:
        return folder / found[0]
    whose = f"the source of {component} for {name}"
    if not found:
        raise MissingSourceError(
            f"There is no {folder / filled}, {whose}",
            hint=f"Build it, name it with --component {component}=SOURCE, or correct the manifest",
        )
    shown = ", ".join(found[:_MOST_SHOWN]) + (", …" if len(found) > _MOST_SHOWN else "")
    raise MissingSourceError(
        f"{folder / filled}, {whose}, fits {len(found)} files: {shown}",
        hint=f"Name one of them with --component {component}=SOURCE, or make the pattern narrower",
    )
