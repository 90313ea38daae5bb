"""A web server in a process of its own, so that a process that forks has no threads."""

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
    """Serve a folder; gives its address."""
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
    # Whoever is killed in the middle of an answer is no news here.
    server._server.handle_error = lambda *_: None  # type: ignore[method-assign]
    connection.send(server.url)
    server._thread.join()
