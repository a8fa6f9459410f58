"""Sign-ins of the dashboard: sessions."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, LargeBinary, PrimaryKeyConstraint, String

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sessions",
        Column("digest", LargeBinary(32), nullable=False),
        Column("key_id", String(64), nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("digest", name="pk_sessions"),
        ForeignKeyConstraint(["key_id"], ["admin_keys.id"], name="fk_sessions_key_id"),
    )
