"""A web server in a separate process, so that the process that forks has no threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.serving import WebServer


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder and yield its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()


def _serve(folder: Path, connection: Any) -> None:
    server = WebServer(folder)
    # Clients are killed in the middle of an answer on purpose.
    server._server.handle_error = lambda *_: None  # type: ignore[method-assign]
    connection.send(server.url)
    server._thread.join()
