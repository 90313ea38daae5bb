"""Sockets to listen on, from addresses as people write them."""

from __future__ import annotations

import errno
import os
import socket

from repoint.model.errors import RepointError


class CannotListenError(RepointError):
    """The address to listen on cannot be had."""


_REASONS = {
    errno.EADDRNOTAVAIL: "it is not an address of this machine",
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "ports below 1024 are for root",
}


def listen(address: str, option: str = "--listen") -> socket.socket:
    """Return a socket that listens on ``HOST:PORT``; port 0 chooses a free one.

    Args:
        address: The address.
        option: The option that chooses it, for a hint.

    Raises:
        CannotListenError: The address has another form, or is not available.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise CannotListenError(
            f"{address[:60]!r} is no address to listen on", hint="Write it as 127.0.0.1:8080"
        )
    try:
        return listen_at(host, int(port))
    except UnicodeError:
        raise _refused(address, "it is not a host name", option) from None
    except OSError as error:
        number = error.errno or 0
        # The resolver's own errors have negative numbers.
        unknown = "no address has this name" if number < 0 else os.strerror(number)
        raise _refused(address, _REASONS.get(number, unknown), option) from None


def listen_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address and a port; port 0 chooses a free one.

    Raises:
        OSError: It is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # Head and body are sent apart. Without this, the body would wait for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refused(address: str, reason: str, option: str) -> CannotListenError:
    return CannotListenError(
        f"Cannot listen on {address[:60]!r}: {reason}", hint=f"Choose another with {option}"
    )
