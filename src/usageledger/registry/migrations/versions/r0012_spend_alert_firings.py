"""Firings of alerts on spend, messages about them, and endpoints of webhooks."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, String, Text, UniqueConstraint

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "spend_alert_firings",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("id", String(64), nullable=False),
        Column("alert_id", String(64), nullable=False),
        Column("project_id", String(256), nullable=False),
        Column("period_start", BigInteger, nullable=False),
        Column("threshold_cents", BigInteger, nullable=False),
        Column("fired_at", BigInteger, nullable=False),
        Column("spend", Text, nullable=False),
        Column("cause", String(16), nullable=False),
        Column("subject_prefix", Text),
        Column("facts", Text),
        PrimaryKeyConstraint("number", name="pk_spend_alert_firings"),
        UniqueConstraint("id", name="uq_spend_alert_firings_id"),
        UniqueConstraint("alert_id", "period_start", "threshold_cents", name="uq_spend_alert_firings_alert_id"),
    )
    op.create_table(
        "spend_deliveries",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("id", String(64), nullable=False),
        Column("firing_id", String(64), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("target", String(256), nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("next_at", BigInteger, nullable=False),
        Column("state", String(16), nullable=False),
        Column("last_status", Text),
        PrimaryKeyConstraint("number", name="pk_spend_deliveries"),
        UniqueConstraint("id", name="uq_spend_deliveries_id"),
        Index("ix_spend_deliveries_state_next_at", "state", "next_at"),
        Index("ix_spend_deliveries_firing_id", "firing_id"),
    )
    op.create_table(
        "webhook_endpoints",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("id", String(64), nullable=False),
        Column("url", Text, nullable=False),
        Column("format", String(16), nullable=False),
        Column("secret", Text, nullable=False),
        Column("previous_secret", Text),
        Column("previous_until", BigInteger, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("disabled_at", BigInteger),
        PrimaryKeyConstraint("number", name="pk_webhook_endpoints"),
        UniqueConstraint("id", name="uq_webhook_endpoints_id"),
    )
