"""Run a coroutine in a test, also while a browser's event loop is in this thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_in_loop(coroutine: Coroutine[object, object, T]) -> T:
    """Return what a coroutine returns, or raise what it raises, in an event loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


async def settle() -> None:
    """Let all tasks go on until each of them waits."""
    for _ in range(50):
        await asyncio.sleep(0)
