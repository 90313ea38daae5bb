"""The control socket: hands out one-time links to programs of this machine.

The kernel reports which account asks.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from repoint.host.kernel.peers import uid_of_client
from repoint.page.app_state import AppState
from repoint.page.control_socket import LinkRequest, LinkResponse

_MAX_LINE = 4096
_READ_TIMEOUT = 5
"""Seconds that a client may take to send its request."""


@dataclass(frozen=True)
class ControlServer:
    """Answers requests at the control socket."""

    app: AppState

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Start to answer."""
        return await asyncio.start_unix_server(self._answer, sock=listener, limit=_MAX_LINE)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = uid_of_client(writer.get_extra_info("socket"))
        if not self.app.clients.admit(client):
            writer.close()
            return
        self.app.idle.begin()
        try:
            line = await asyncio.wait_for(reader.readline(), _READ_TIMEOUT)
            writer.write(msgspec.json.encode(self.respond(client, line)) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # the client has gone, or does not speak the protocol
        finally:
            self.app.idle.end()
            self.app.clients.release(client)
            writer.close()

    def respond(self, client: int, line: bytes) -> LinkResponse:
        """Return the response to one request.

        Args:
            client: The account that sent it.
            line: The request.
        """
        try:
            request = msgspec.json.decode(line, type=LinkRequest)
        except msgspec.DecodeError:
            return LinkResponse(refused="the request is malformed")
        uid = client if request.uid is None else request.uid
        if client not in (0, uid):
            return LinkResponse(refused="only root may ask for another account")
        # Everybody may view the system's page, but a person's own page only that person.
        if self.app.uid not in (0, client) and client != 0:
            return LinkResponse(refused="it belongs to another account")
        return LinkResponse(link=self.app.create_link(uid))


def listen_at(path: Path, *, everybody: bool) -> socket.socket:
    """Listen at a path of any length, and replace a socket that is already there.

    Args:
        path: The path of the socket.
        everybody: Whether other accounts may connect.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = path.with_name(f".new-{path.name}")
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        temporary.unlink(missing_ok=True)
        # A socket address holds 107 bytes (man 7 unix), and the path may be longer.
        listener.bind(f"/proc/self/fd/{folder}/{temporary.name}")
        temporary.chmod(0o666 if everybody else 0o600)
        listener.listen(16)
        temporary.replace(path)
    except OSError:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
