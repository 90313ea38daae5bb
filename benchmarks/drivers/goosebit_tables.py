"""Create goosebit's tables in the database that its settings name."""

from __future__ import annotations

import asyncio

from goosebit.db.config import TORTOISE_CONF
from tortoise import Tortoise


async def main() -> None:
    """Create the tables."""
    await Tortoise.init(config=TORTOISE_CONF)
    await Tortoise.generate_schemas()
    await Tortoise.close_connections()


asyncio.run(main())
