"""Post a body to an address, in a time that holds for the whole exchange.

The timeout of a socket begins again with each byte that a slow server sends. Here, one deadline
ends everything: the connection, its encryption, the request and the answer.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from urllib.parse import SplitResult

import h11


def post(address: SplitResult, body: bytes, seconds: float) -> int:
    """Post JSON, and return the status of the answer. No more of it than its head is read.

    Args:
        address: The address, with ``https`` or ``http``.
        body: The JSON.
        seconds: The time that all of it may take.

    Raises:
        TimeoutError: It takes longer.
        OSError: There is no connection, or it is not the one of that name.
        h11.RemoteProtocolError: The answer is not HTTP, or its head is longer than 16 KiB.
        ValueError: The host cannot be a name.
    """
    result: list[int | Exception] = []

    def run() -> None:
        try:
            result.append(asyncio.run(_exchange(address, body, seconds)))
        except Exception as error:  # raised again in the caller's thread
            result.append(error)

    # The system's resolver has no deadline but its own timeout, and nothing waits for it.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds + 1)
    found = result[0] if result else TimeoutError()
    if isinstance(found, Exception):
        raise found
    return found


async def _exchange(address: SplitResult, body: bytes, seconds: float) -> int:
    encryption = ssl.create_default_context() if address.scheme == "https" else None
    port = address.port or (443 if encryption else 80)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(address.hostname, port, ssl=encryption)
        try:
            connection = h11.Connection(h11.CLIENT)
            for part in (_request(address, body), h11.Data(data=body), h11.EndOfMessage()):
                writer.write(connection.send(part) or b"")
            await writer.drain()
            while not isinstance(event := connection.next_event(), h11.Response):
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(4096))
            return event.status_code
        finally:
            # Not a close, which would wait for what the other end has not read.
            writer.transport.abort()


def _request(address: SplitResult, body: bytes) -> h11.Request:
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    headers = {
        "Host": address.netloc.rpartition("@")[2],
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    return h11.Request(method="POST", target=target, headers=list(headers.items()))
