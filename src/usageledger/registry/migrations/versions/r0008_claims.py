"""The seconds at which responses count, for servers that share a ledger."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "claims",
        Column("digest", LargeBinary(16), nullable=False),
        Column("second", BigInteger, nullable=False),
        Column("made_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("digest", "second", name="pk_claims"),
    )
    op.create_index("ix_claims_made_at", "claims", ["made_at"])
