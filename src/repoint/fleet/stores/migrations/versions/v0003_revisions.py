"""When the dictionaries have changed, so that nobody has to count them to find out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table with its one row."""
    table = op.create_table("revisions", sa.Column("number", sa.BigInteger, nullable=False))
    op.bulk_insert(table, [{"number": 0}])
