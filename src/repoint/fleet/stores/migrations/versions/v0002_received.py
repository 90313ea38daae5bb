"""How many reports came in each hour, so that an outage is seen as one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "received",
        sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reports", sa.BigInteger, nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":
        # One row that every transaction changes: room for its next version beside the last.
        op.execute("ALTER TABLE received SET (fillfactor = 10)")
