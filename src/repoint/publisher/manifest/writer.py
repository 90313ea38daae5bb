"""Writing a first manifest, which a person then edits."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path

from repoint.fs.durable import write_new
from repoint.publisher.errors import ManifestError
from repoint.publisher.manifest.sketch import Sketch, merged, plain, sketch

_PRODUCT = """\
# What Repoint knows about this product. `repoint baseline add` registers its releases, and
# `repoint improve` builds the fixes of its components; both read this file.

[product]
# The name in commands and addresses. Devices know the product by it, so it never changes.
id = {id}
# Every platform that the product is released for.
platforms = [{platforms}]
# How it presents itself to people.
# name = "Acme Kiosk"
# vendor = "Acme Inc."
# contact = "security@example.com"
# support = "https://help.example.com"
# icon = "icon.png"
"""

_FIRST = """
# A part of the product that can be improved alone. Add one for each other part.
[[component]]
id = {id}
# Where your build leaves it, from the folder of this file. * stands for any characters;
# {{version}}, {{build}}, {{platform}} and {{arch}} are those of the release.
source = {source}
# Its name for people.
# name = "Image decoding"
# What must restart for a fix to be in force: none, app, service, session or system.
restart = "app"
# A command that must succeed after an activation. {{tree}} is the tree, {{python}} an interpreter.
# health = "{{tree}}/bin/program --version"
# Files that programs write among its own.
# ignore = ["*.log"]
"""

_NEXT = """
[[component]]
id = {id}
source = {source}
restart = "app"
"""

_BASELINE = """
# A release that you care for. Add one for each.
# [[baseline]]
# version = "26.3.1"
# build = "25D2128"
"""
"""Nothing that could be registered: a baseline stays for ever, also one that nobody meant."""


def write_manifest(
    path: Path, sources: Sequence[tuple[str | None, Path]], platform: str
) -> tuple[str, tuple[Sketch, ...]]:
    """Write a manifest for the components of a product.

    Args:
        path: Where to write it. The product gets the name of its folder.
        sources: The source of each component, with its name if it is not that of the source.
        platform: The platform of components that are for any.

    Returns:
        The product's name, and what was found about the components.

    Raises:
        ManifestError: Something is there already, two components have the same name, or the file
            cannot be written.
        UnfitSourceError: A source cannot be a component.
    """
    if os.path.lexists(path):
        raise _exists(path)
    if not path.parent.is_dir():
        raise ManifestError(f"There is no folder {path.parent}", hint="Make it first")
    found = merged([sketch(source, path.parent, name) for name, source in sources])
    product = plain(path.parent.resolve().name) or "product"
    machines = [machine for each in found for machine in each.machines]
    platforms = dict.fromkeys(f"linux-{machine}" for machine in machines)
    text = _PRODUCT.format(
        id=_text(product), platforms=", ".join(map(_text, platforms or (platform,)))
    )
    for number, each in enumerate(found):
        form = _NEXT if number else _FIRST
        text += form.format(id=_text(each.component), source=_text(each.pattern))
    try:
        write_new(path, (text + _BASELINE).encode())
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise ManifestError(
            f"{path} cannot be written: {error.strerror}", hint="Name another with --manifest"
        ) from None
    return product, found


def _exists(path: Path) -> ManifestError:
    return ManifestError(
        f"{path} exists already", hint="Edit it, or name another file with --manifest"
    )


def _text(value: str) -> str:
    """Return a string as TOML writes it."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    assert tomllib.loads(f"a = {text}")["a"] == value  # noqa: S101 - JSON is nearly TOML
    return text
