"""``repoint fleet serve``: the collector of reports."""

from __future__ import annotations

from typing import Annotated

import typer

from repoint.cli.terminal import print, print_error


def serve(
    database: Annotated[
        str,
        typer.Option(
            envvar="REPOINT_FLEET_DATABASE",
            help="Where the state is: sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
        ),
    ],
    events: Annotated[
        str,
        typer.Option(
            envvar="REPOINT_FLEET_EVENTS",
            help="Where to keep every report: a folder, or s3://BUCKET/PREFIX.",
            show_default="not kept",
        ),
    ] = "",
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
    days: Annotated[
        int,
        typer.Option(min=1, help="Days after which ids and events are forgotten."),
    ] = 90,
) -> None:
    """Take the reports of devices, and answer about them, until it is stopped."""
    from repoint.fleet.collector import Collector, Settings

    collector = Collector(
        Settings(
            database=database,
            listen=listen,
            products=frozenset(product) if product else None,
            limit=limit,
            events=events,
            days=days,
        )
    )
    collector.run(
        lambda url: print(f"Reports are taken at {url}/v1/reports", flush=True), print_error
    )
