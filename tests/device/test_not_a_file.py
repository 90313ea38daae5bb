"""Something else in the place of a file of the store: one clear line, and nothing waits for it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.model.errors import RepointError
from tests.places import Place

PRODUCT = "products/acme-kiosk"
FILES = (
    "lock", "policy.json", f"{PRODUCT}/root.json", f"{PRODUCT}/history.jsonl",
    f"{PRODUCT}/catalog.json", f"{PRODUCT}/checked.json", f"{PRODUCT}/switch.json",
)  # fmt: skip


def _socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def _link_to_a_pipe(path: Path) -> None:
    pipe = path.with_name(f"{path.name}-pipe")
    if not pipe.exists():
        os.mkfifo(pipe)
    path.symlink_to(pipe)


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "full folder": lambda path: (path / "inside").mkdir(parents=True),
    "pipe": os.mkfifo,
    "socket": _socket,
    "link to nothing": lambda path: path.symlink_to("/nonexistent/file"),
    "link to a pipe": _link_to_a_pipe,
    "link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("name", FILES)
def test_what_is_not_a_file_is_one_clear_error_and_holds_nothing_up(
    place: Place, name: str
) -> None:
    place.enroll()
    path = place.folder / "store" / name
    place.device.check(None)
    content = path.read_bytes() if path.exists() else None
    for kind, make in KINDS.items():
        path.unlink(missing_ok=True)
        make(path)
        for command in (place.device.status, place.device.check, place.device.history):
            try:
                command(None)
            except RepointError as error:
                assert error.hint, (kind, command)
                assert "Errno" not in str(error), (kind, command)
                assert os.strerror(22) not in str(error), (kind, command)
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                (path / "inside").rmdir()
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
    place.device.check(None)
