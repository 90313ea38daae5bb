"""Send requests from a file over kept connections: ``http_load.py PORT CONNECTIONS FILE``.

The file has one request after another, each behind its length in four bytes. Prints the seconds
that all took, the seconds of each, and how many answers had which status.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path


async def main(port: int, connections: int, path: Path) -> None:
    """Send the requests, and print what they took."""
    data = path.read_bytes()
    requests: list[bytes] = []
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        requests.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    requests.reverse()
    times: list[float] = []
    statuses: Counter[str] = Counter()

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while requests:
            request = requests.pop()
            begun = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            if length:
                await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
            statuses[head.split(" ")[1]] += 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(connections)])
    taken = time.perf_counter() - begun
    print(json.dumps({"seconds": taken, "times": times, "statuses": statuses}))


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
