"""Giving out one-time links: a program of this machine asks over a Unix socket.

The kernel says which account asks. One line of JSON goes each way.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from repoint.page.app_state import AppState
from repoint.page.auth.errors import CannotOpenError
from repoint.page.auth.peers import uid_of_client

_LONGEST_LINE = 4096
_SECONDS = 30.0


class LinkRequest(msgspec.Struct, frozen=True):
    """What a client asks for. Root may ask on behalf of another account (``sudo``)."""

    uid: int | None = None


class Given(msgspec.Struct, frozen=True):
    """The answer: a link, or why there is none."""

    link: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Control:
    """Answers at the Unix socket of a site."""

    site: AppState

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Begin to answer."""
        return await asyncio.start_unix_server(self._answer, sock=listener, limit=_LONGEST_LINE)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.site.idle.begin()
        try:
            line = await asyncio.wait_for(reader.readline(), 5)
            asks = uid_of_client(writer.get_extra_info("socket"))
            writer.write(msgspec.json.encode(self._given(asks, line)) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # whoever asked has gone, or is no client of ours
        finally:
            self.site.idle.end()
            writer.close()

    def _given(self, asks: int, line: bytes) -> Given:
        try:
            wanted = msgspec.json.decode(line, type=LinkRequest)
        except msgspec.DecodeError:
            return Given(refused="it is no request")
        uid = asks if wanted.uid is None else wanted.uid
        if asks not in (0, uid):
            return Given(refused="only root may ask for another account")
        # Anybody may look at what concerns the system; at a person's own only that person.
        if self.site.uid not in (0, asks) and asks != 0:
            return Given(refused="it belongs to another account")
        return Given(link=self.site.link(uid))


def listen_at(path: Path, *, everybody: bool) -> socket.socket:
    """Listen at a path of any length, in the place of whoever listened there before.

    Args:
        path: Where.
        everybody: Whether other accounts may connect.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = path.with_name(f".new-{path.name}")
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        beside.unlink(missing_ok=True)
        # An address holds 107 bytes (man 7 unix), and a store may lie deeper.
        listener.bind(f"/proc/self/fd/{folder}/{beside.name}")
        beside.chmod(0o666 if everybody else 0o600)
        listener.listen(16)
        beside.replace(path)
    except OSError:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def ask_for_link(path: Path, uid: int | None) -> str | None:
    """Ask the server behind a socket for a link.

    Args:
        path: The socket.
        uid: The account that it is for, where root asks for somebody else.

    Returns:
        The link, or nothing where nobody listens.

    Raises:
        CannotOpenError: The server refuses.
    """
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            connection.sendall(msgspec.json.encode(LinkRequest(uid)) + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except OSError:
            return None
        finally:
            os.close(folder)
    if not line:
        return None
    given = msgspec.json.decode(line, type=Given)
    if given.refused:
        raise CannotOpenError(
            f"The Settings page behind {path} does not open: {given.refused}",
            hint="Run it as the account that the store belongs to",
        )
    return given.link
