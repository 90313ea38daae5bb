"""``repoint fleet query``: ask the store of events with SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from repoint.cli.options import JsonOption
from repoint.cli.terminal import print


def query(
    sql: Annotated[
        str, typer.Argument(help='A query, such as "SELECT kind, count(*) FROM events GROUP BY 1".')
    ],
    events: Annotated[
        str,
        typer.Option(
            envvar="REPOINT_FLEET_EVENTS",
            help="Where the events are: a folder, or s3://BUCKET/PREFIX.",
        ),
    ],
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day, in UTC.", show_default="a week"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The last day, in UTC.", show_default="today"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Ask the stored events with SQL, as a table of CSV."""
    from datetime import UTC

    from repoint.cli.output import print_json
    from repoint.fleet.events.objects import open_objects
    from repoint.fleet.events.query import query as run
    from repoint.fleet.interfaces.csv_text import csv_text

    last = until.date() if until is not None else datetime.now(UTC).date()
    first = since.date() if since is not None else last - timedelta(days=7)
    found = run(open_objects(events), sql, first, last)
    if json:
        print_json([dict(zip(found.columns, map(_plain, row), strict=True)) for row in found.rows])
        return
    for line in (found.columns, *found.rows):
        print(csv_text([line]).rstrip("\r\n"))


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
