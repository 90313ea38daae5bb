"""``repoint status``, also without the command-line library.

People and programs run this command most often, and importing that library takes as long as reading
the status. `status` parses the usual forms of the command. It leaves everything else, such as
``--help`` and wrong usage, to the same command in `repoint.cli.device.device`.
"""

from __future__ import annotations

import os
from pathlib import Path

from repoint.cli.opening import for_each, named_products, open_device
from repoint.cli.plain_options import parse_options
from repoint.cli.terminal import print

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from repoint.device.os_errors import Troubles

_VALUED = {"--store": "--store", "-s": "--store", "--product": "--product", "-p": "--product"}


def status(arguments: Sequence[str]) -> int | None:
    """Show the status of the products that the arguments name.

    Args:
        arguments: What follows ``status`` on the command line.

    Returns:
        The exit status; None if the command-line library has to parse the command.

    Raises:
        RepointError: A product is not enrolled, or the only one cannot be read.
    """
    from repoint.cli.output import print_troubles

    parsed = parse_options(arguments, _VALUED, {"--json"})
    if parsed is None or parsed[1]:
        return None
    options, _ = parsed
    store = options.get("--store") or os.environ.get("REPOINT_STORE")
    troubles = show_status(
        Path(store) if store else None, options.get("--product"), json="--json" in options
    )
    print_troubles(troubles)
    return 1 if troubles else 0


def show_status(store: Path | None, product: str | None, *, json: bool) -> Troubles:
    """Print the status of a product, or of all that are enrolled.

    Args:
        store: The store; None for the default.
        product: The product; None for all.
        json: Whether to print JSON.

    Returns:
        What failed, by product.

    Raises:
        RepointError: The product is not enrolled, or the only one cannot be read.
    """
    from repoint.agent.overview.overview import Overview, read_overview, status_report
    from repoint.cli.device.status_view import print_status
    from repoint.cli.output import print_json

    device = open_device(store)
    products = named_products(device, product)
    overviews: list[Overview] = []
    troubles = for_each(products, lambda name: overviews.append(read_overview(device, name)))
    if json and len(products) == 1:
        print_json(status_report(overviews[0]))
    elif json:
        print_json([status_report(overview) for overview in overviews])
    else:
        for number, overview in enumerate(overviews):
            if len(products) > 1:
                if number:
                    print()
                print(overview.display_name)
            print_status(overview)
    return troubles
