"""The first tables: admin_keys, projects, users, secrets."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, String, UniqueConstraint

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "admin_keys",
        Column("id", String(64), nullable=False),
        Column("name", String(256), nullable=False),
        Column("redacted_value", String(64), nullable=False),
        Column("digest", LargeBinary(32), nullable=False),
        Column("scopes", String(256), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger),
        Column("last_used_at", BigInteger),
        Column("revoked_at", BigInteger),
        PrimaryKeyConstraint("id", name="pk_admin_keys"),
        UniqueConstraint("digest", name="uq_admin_keys_digest"),
    )
    op.create_index("ix_admin_keys_created_at_id", "admin_keys", ["created_at", "id"])
    op.create_table(
        "projects",
        Column("id", String(256), nullable=False),
        Column("name", String(256), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("archived_at", BigInteger),
        PrimaryKeyConstraint("id", name="pk_projects"),
    )
    op.create_index("ix_projects_created_at_id", "projects", ["created_at", "id"])
    op.create_table(
        "users",
        Column("id", String(256), nullable=False),
        Column("name", String(256)),
        Column("email", String(256)),
        Column("role", String(32), nullable=False),
        Column("added_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index("ix_users_added_at_id", "users", ["added_at", "id"])
    op.create_table(
        "secrets",
        Column("name", String(256), nullable=False),
        Column("value", LargeBinary(32), nullable=False),
        PrimaryKeyConstraint("name", name="pk_secrets"),
    )
