"""Rules of the operator on sources."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_rules",
        Column("id", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("emitter", String(128), nullable=False),
        Column("key_id", String(64), nullable=False),
        Column("field", String(64), nullable=False),
        Column("origins", Text, nullable=False),
        Column("set_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_source_rules"),
    )
