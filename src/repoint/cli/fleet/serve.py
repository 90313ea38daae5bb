"""``repoint fleet serve``: the collector of reports."""

from __future__ import annotations

from typing import Annotated

import typer

from repoint.cli.terminal import print


def serve(
    database: Annotated[
        str,
        typer.Option(
            envvar="REPOINT_FLEET_DATABASE",
            help="Where the state is: sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
        ),
    ],
    listen: Annotated[
        str, typer.Option(help="Address and port for the reports of devices.")
    ] = "127.0.0.1:8080",
    product: Annotated[
        list[str] | None,
        typer.Option(help="Take reports of this product only. May be repeated."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(min=0, help="Reports a minute from one address; 0 for no limit."),
    ] = 600,
) -> None:
    """Take the reports of devices, and answer about them, until it is stopped."""
    from repoint.fleet.collector import Collector, Settings

    collector = Collector(
        Settings(
            database=database,
            listen=listen,
            products=frozenset(product) if product else None,
            limit=limit,
        )
    )
    collector.run(lambda url: print(f"Reports are taken at {url}/v1/reports", flush=True))
