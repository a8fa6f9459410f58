"""Counters of metrics, and the events of claims that are not known to be in the ledger."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, Text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "counters",
        Column("digest", LargeBinary(16), nullable=False),
        Column("total", BigInteger, nullable=False),
        Column("requests", BigInteger, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("claim", BigInteger, nullable=False),
        Column("seen_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("digest", name="pk_counters"),
    )
    op.create_index("ix_counters_seen_at", "counters", ["seen_at"])
    op.create_table(
        "counter_claims",
        Column("id", BigInteger, nullable=False, autoincrement=False),
        Column("events", Text, nullable=False),
        Column("made_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_counter_claims"),
    )
