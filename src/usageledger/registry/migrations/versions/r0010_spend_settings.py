"""Limits of spend and alerts on it."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, String, Text, UniqueConstraint

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "spend_limits",
        Column("project_id", String(256), nullable=False),
        Column("threshold_cents", BigInteger, nullable=False),
        Column("changed_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("project_id", name="pk_spend_limits"),
    )
    op.create_table(
        "spend_alerts",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("id", String(64), nullable=False),
        Column("project_id", String(256), nullable=False),
        Column("threshold_cents", BigInteger, nullable=False),
        Column("recipients", Text, nullable=False),
        Column("subject_prefix", Text),
        Column("changed_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("number", name="pk_spend_alerts"),
        UniqueConstraint("id", name="uq_spend_alerts_id"),
        Index("ix_spend_alerts_project_id_number", "project_id", "number"),
    )
