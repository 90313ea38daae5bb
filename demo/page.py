"""Open the Settings page on the device of the demo, until Ctrl-C: ``make demo-page``.

It serves the vendor's repository and starts the picture viewer again; then a person takes over.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from demo import Demo, make_folder, run, served, stop_viewer


@contextlib.contextmanager
def page(demo: Demo) -> Iterator[None]:
    """Serve the page until the end of the block."""
    command = [sys.executable, "-m", "repoint.page", "--store", str(demo.store),
               "--idle", "86400"]  # fmt: skip
    with subprocess.Popen(command, start_new_session=True) as server:
        try:
            yield
        finally:
            server.terminate()


def main() -> None:
    """Run the demo first if it has not run yet, then serve its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wheels", type=Path, required=True, help="folder for the downloaded wheels"
    )
    parser.add_argument("--keep", type=Path, required=True, help="the folder of the demo")
    arguments = parser.parse_args()
    demo = Demo(arguments.keep.resolve(), arguments.wheels.resolve())
    if not demo.store.exists():
        make_folder(demo.folder)
        run(demo.folder, demo.wheels)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    port = urlsplit(demo.enrolment["repository"]).port or 0
    with contextlib.suppress(KeyboardInterrupt), served(demo, port), page(demo):
        try:
            demo.start(demo.enrolment["grafts"][0]["program"])
            demo.viewer()
            print(demo.repoint("settings"))
            print("Press Ctrl-C to close it.", flush=True)
            signal.pause()
        finally:
            stop_viewer(demo)


if __name__ == "__main__":
    main()
