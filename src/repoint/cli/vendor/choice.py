"""Which product and which improvement a command of a vendor is about."""

from __future__ import annotations

from typing import Annotated

import typer

# Both are optional for the command line, because the label may come first.
ProductArgument = Annotated[
    str | None,
    typer.Argument(metavar="[PRODUCT]", help="The product.", show_default="that of the manifest"),
]
LabelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="LABEL", help='The improvement, such as "26.3.1 (a)".', show_default=False
    ),
]


def chosen_product(product: str | None) -> str:
    """Return the product that a command names, or that of the manifest in this folder.

    Raises:
        ManifestError: The manifest cannot be read, or does not fit.
        typer.BadParameter: There is neither.
    """
    from repoint.publisher.manifest.choice import manifest_of

    if product is not None:
        return product
    file = manifest_of(None, None)
    if file is None:
        raise typer.BadParameter("Missing argument 'product', and this folder has no repoint.toml")
    return file.content.product.id


def chosen_labels(product: str | None, labels: list[str] | None) -> tuple[str, list[str]]:
    """Return the product and the labels. Without a product, the first word is a label.

    Raises:
        ManifestError: The manifest cannot be read, or does not fit.
        typer.BadParameter: No product is named, and this folder has no manifest.
    """
    words = labels or []
    if product is not None and "(" in product:  # no product has one in its name, every label has
        return chosen_product(None), [product, *words]
    return chosen_product(product), words


def chosen_label(product: str | None, label: str | None) -> tuple[str, str]:
    """Return the product and the label, of which a command needs both.

    Raises:
        ManifestError: The manifest cannot be read, or does not fit.
        typer.BadParameter: The product or the label is missing.
    """
    name, labels = chosen_labels(product, [label] if label is not None else None)
    if len(labels) != 1:
        raise typer.BadParameter('name one improvement, such as "26.3.1 (a)"')
    return name, labels[0]
