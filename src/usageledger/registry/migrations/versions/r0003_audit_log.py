"""The audit trail: audit_log."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "audit_log",
        Column("id", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("effective_at", BigInteger, nullable=False),
        Column("type", String(64), nullable=False),
        Column("actor", String(256), nullable=False),
        Column("details", Text, nullable=False),
        PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
