"""Counts of what sources sent, and what became of it."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_counts",
        Column("emitter", String(128), nullable=False),
        Column("version", String(128), nullable=False),
        Column("item", String(64), nullable=False),
        Column("count", BigInteger, nullable=False),
        Column("example", String(256), nullable=False),
        Column("first_at", BigInteger, nullable=False),
        Column("last_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("emitter", "version", "item", name="pk_source_counts"),
    )
