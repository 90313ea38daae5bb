"""The first tables: the states of ids, the roll-ups, the dictionaries, the spool."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_Identity = sa.LargeBinary(16).with_variant(postgresql.UUID(as_uuid=True), "postgresql")
_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _dictionaries()
    op.create_table(
        "states",
        sa.Column("id", _Identity, primary_key=True),
        *[_number(name) for name in ("letter", "event_time", "since", "in_force", "reported")],
        *[_small(name) for name in ("status", "flags", "staged", "exposed", "ring", "agent")],
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tallies",
        _number("letter", key=True),
        _small("ring", key=True),
        _small("status", key=True),
        _number("bucket", key=True),
        *[_number(name) for name in ("devices", "first", "last")],
        sqlite_with_rowid=False,
    )
    op.create_table(
        "adoption",
        _number("letter", key=True),
        _number("hour", key=True),
        _number("devices"),
        _number("exposed"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "nonces",
        sa.Column("nonce", _Long, primary_key=True, autoincrement=False),
        _number("hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool",
        sa.Column("number", _Long, primary_key=True, autoincrement=True),
        _number("hour"),
        _number("reports"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table("deletions", sa.Column("id", _Identity, primary_key=True), _number("time"))
    if op.get_context().dialect.name == "postgresql":
        # Each event of a device replaces its row. A fifth of ten million rows, the default, would
        # be much space that waits.
        op.execute("ALTER TABLE states SET (autovacuum_vacuum_scale_factor = 0.05)")
        op.execute("ALTER TABLE nonces SET (autovacuum_vacuum_scale_factor = 0.05)")
        # Few rows, each changed by every transaction: room for the next version beside the last.
        op.execute("ALTER TABLE tallies SET (fillfactor = 50)")
        op.execute("ALTER TABLE adoption SET (fillfactor = 50)")


def _dictionaries() -> None:
    op.create_table(
        "letters",
        _number("number", key=True),
        *[_text(name) for name in ("product", "platform", "version", "build", "letter")],
        sa.UniqueConstraint(
            "product", "platform", "version", "build", "letter", name="letter_name"
        ),
    )
    op.create_table(
        "words",
        sa.Column("subject", sa.Text, primary_key=True),
        _small("number", key=True),
        _text("word"),
        sa.UniqueConstraint("subject", "word", name="word_once"),
    )


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=key, autoincrement=False, nullable=False)


def _small(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
