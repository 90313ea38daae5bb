"""Requesting a one-time link at the control socket. One line of JSON goes each way."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import msgspec

from repoint.page.auth.errors import PageNotOpenedError

_TIMEOUT = 30.0
"""Seconds to wait for the server."""


class LinkRequest(msgspec.Struct, frozen=True):
    """What a client sends. Root may request a link for another account (``sudo``)."""

    uid: int | None = None


class LinkResponse(msgspec.Struct, frozen=True):
    """What the server sends: a link, or why there is none."""

    link: str = ""
    refused: str = ""


def request_link(path: Path, uid: int | None) -> str | None:
    """Request a link from the server behind a socket.

    Args:
        path: The socket.
        uid: The account that the link is for, if root requests it for another account.

    Returns:
        The link. None if no server listens, or none answers in time.

    Raises:
        PageNotOpenedError: The server refuses.
    """
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        _limit_waits(connection, _TIMEOUT)
        try:
            # A socket address holds 107 bytes (man 7 unix), and the path may be longer.
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            connection.sendall(msgspec.json.encode(LinkRequest(uid)) + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except OSError:
            return None
        finally:
            os.close(folder)
    if not line:
        return None
    response = msgspec.json.decode(line, type=LinkResponse)
    if response.refused:
        raise PageNotOpenedError(
            f"The Settings page behind {path} does not open: {response.refused}",
            hint="Run it as the account that the store belongs to",
        )
    return response.link


def _limit_waits(connection: socket.socket, seconds: float) -> None:
    """Set a timeout in the kernel for each wait of a blocking socket (socket(7)).

    A socket of Python with a timeout does not block. If others have filled the server's queue, it
    would be refused at once, but a blocking one waits for its turn.
    """
    limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, limit)
