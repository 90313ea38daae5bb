"""``repoint fleet serve``: the collector of reports."""

from __future__ import annotations

import os
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
    admin: Annotated[
        str,
        typer.Option(
            help="Address and port for programs that read: /metrics and /api/v1. "
            "On a network it needs a token in REPOINT_FLEET_TOKEN.",
            show_default="none",
        ),
    ] = "",
    repository: Annotated[
        str,
        typer.Option(
            "--repository",
            "-r",
            envvar="REPOINT_REPOSITORY",
            help="Folder or address of the repository: its products and what each letter fixes.",
            show_default="none",
        ),
    ] = "",
    otlp: Annotated[
        str,
        typer.Option(
            help="Push figures to this OTLP address, as in http://127.0.0.1:4318/v1/metrics.",
            show_default="none",
        ),
    ] = "",
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
            admin=admin,
            token=os.environ.get("REPOINT_FLEET_TOKEN", ""),
            repository=repository,
            otlp=otlp,
        )
    )
    collector.run(_report_ready, print_error)


def _report_ready(devices: str, readers: str) -> None:
    if readers:
        print(f"Programs read {readers}/metrics and {readers}/api/v1/products")
    print(f"Reports are taken at {devices}/v1/reports", flush=True)
