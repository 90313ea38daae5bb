"""The page's server: ``python -m repoint.page --store FOLDER``, for systemd and ourselves.

Not a command for people, who say ``repoint settings``; and no part of the ``repoint`` command,
whose parser would take a third of the time that a browser waits for the first byte.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from repoint.model.errors import RepointError
from repoint.page.server import IDLE_SECONDS, serve


def main() -> None:
    """Parse, and serve until nobody uses the page any more."""
    parser = argparse.ArgumentParser(prog="python -m repoint.page", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the device's store")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, metavar="SECONDS",
                        help="end after so long without a request")  # fmt: skip
    given = parser.parse_args()
    try:
        serve(given.store.absolute(), idle=given.idle)
    except (RepointError, OSError) as error:
        sys.exit(f"repoint: the Settings page cannot be served: {error}")


if __name__ == "__main__":
    main()
