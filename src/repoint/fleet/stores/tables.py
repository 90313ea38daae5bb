"""The tables of a fleet's state.

`states` has one row for each id, with what its last reports said. Everything that people look at
comes from two roll-ups, which change in the same transaction: `tallies`, the devices by what became
of a letter, and `adoption`, the changes of the devices that have a letter in force, by the hour.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

TABLES = sa.MetaData()

Identity = sa.LargeBinary(16).with_variant(postgresql.UUID(as_uuid=True), "postgresql")
"""An id of 16 bytes. PostgreSQL stores its type ``uuid`` without a length, in fewer bytes."""

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

letters = sa.Table(
    "letters",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("build", sa.Text, nullable=False),
    sa.Column("letter", sa.Text, nullable=False),
    sa.UniqueConstraint("product", "platform", "version", "build", "letter", name="letter_name"),
)

words = sa.Table(
    "words",
    TABLES,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("number", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("word", sa.Text, nullable=False),
    sa.UniqueConstraint("subject", "word", name="word_once"),
)
"""The rings and the versions of the agent. The number 0 is the empty word, and not in the table."""

revisions = sa.Table(
    "revisions",
    TABLES,
    sa.Column("number", sa.BigInteger, nullable=False),
)
"""One row, which grows with each change of `letters` and `words`: when to read them again."""

states = sa.Table(
    "states",
    TABLES,
    sa.Column("id", Identity, primary_key=True),
    sa.Column("letter", sa.Integer, nullable=False),
    sa.Column("event_time", sa.Integer, nullable=False),
    sa.Column("since", sa.Integer, nullable=False),
    sa.Column("in_force", sa.Integer, nullable=False),
    sa.Column("reported", sa.Integer, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("flags", sa.SmallInteger, nullable=False),
    sa.Column("staged", sa.SmallInteger, nullable=False),
    sa.Column("exposed", sa.SmallInteger, nullable=False),
    sa.Column("ring", sa.SmallInteger, nullable=False),
    sa.Column("agent", sa.SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""One row for each id. The widest columns come first, so that no row has padding inside."""

tallies = sa.Table(
    "tallies",
    TABLES,
    sa.Column("letter", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ring", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("status", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("devices", sa.Integer, nullable=False),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("last", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

adoption = sa.Table(
    "adoption",
    TABLES,
    sa.Column("letter", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("devices", sa.Integer, nullable=False),
    sa.Column("exposed", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

received = sa.Table(
    "received",
    TABLES,
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("reports", sa.BigInteger, nullable=False),
)
"""The reports of each hour in which some came."""

nonces = sa.Table(
    "nonces",
    TABLES,
    sa.Column("nonce", _Long, primary_key=True, autoincrement=False),
    sa.Column("hour", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

spool = sa.Table(
    "spool",
    TABLES,
    sa.Column("number", _Long, primary_key=True, autoincrement=True),
    sa.Column("hour", sa.Integer, nullable=False),
    sa.Column("reports", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
"""Reports that are not yet in the store of events; a row for each transaction."""

deletions = sa.Table(
    "deletions",
    TABLES,
    sa.Column("id", Identity, primary_key=True),
    sa.Column("time", sa.Integer, nullable=False),
)
"""Ids whose owners took back their consent, until the store of events has forgotten them."""
