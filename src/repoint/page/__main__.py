"""Serve the Settings page: ``python -m repoint.page --store FOLDER``.

systemd and ``repoint settings`` run this program; people run ``repoint settings``. It is not part
of the ``repoint`` command, whose parser would add a third to the time until the first byte.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from repoint.model.errors import RepointError
from repoint.model.printable import one_line
from repoint.page.server import IDLE_TIMEOUT, serve


def main() -> None:
    """Parse the command line, and serve until the page is idle."""
    parser = argparse.ArgumentParser(prog="python -m repoint.page", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the device's store")
    parser.add_argument("--idle", type=float, default=IDLE_TIMEOUT, metavar="SECONDS",
                        help="stop after this long without a request")  # fmt: skip
    arguments = parser.parse_args()
    try:
        serve(arguments.store.absolute(), idle=arguments.idle)
    except (RepointError, OSError) as error:
        sys.exit(one_line(f"repoint: the Settings page cannot be served: {error}"))


if __name__ == "__main__":
    main()
