"""``repoint init``: a first manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.options import ManifestOption
from repoint.cli.terminal import print


def init(
    source: Annotated[
        list[str],
        typer.Argument(
            help="The folder, wheel, .deb or tar archive of each component, or NAME=SOURCE."
        ),
    ],
    manifest: ManifestOption = None,
) -> None:
    """Write a manifest for the components of a product, to be edited.

    It lies in the product's source tree, and names its components, platforms and releases.
    """
    from repoint.cli.output import counted, size
    from repoint.cli.progress import progress_lines
    from repoint.cli.vendor.manifest.component_options import default_platform
    from repoint.publisher.manifest.reader import NAME
    from repoint.publisher.manifest.writer import write_manifest

    path = manifest if manifest is not None else Path(NAME)
    with progress_lines({}):
        product, components = write_manifest(path, [_named(s) for s in source], default_platform())
    print(f"Wrote {path} for {product}.")
    for each in components:
        found = f"{counted(each.files, 'file')}, {size(each.size)}"
        print(f"  {each.component}: {found}, from {each.pattern}")
    print("Add your release under [[baseline]] there, then run `repoint baseline add`.")


def _named(value: str) -> tuple[str | None, Path]:
    """Split ``NAME=SOURCE``. A path that exists is one, even with an equals sign.

    Raises:
        typer.BadParameter: A part of it is empty.
    """
    name, equals, rest = value.partition("=")
    if not equals or Path(value).exists():
        name, rest = "", value
    if not rest or (equals and not value.partition("=")[0]):
        raise typer.BadParameter(f"{value[:60]!r} is neither a path nor of the form NAME=SOURCE")
    return name or None, Path(rest)
