"""Prices: rate_cards, price_lists, price_revisions, card_prices, price_overrides."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    for name, text in (("rate_cards", "subject"), ("price_lists", "prices")):
        op.create_table(
            name,
            Column("id", NUMBER, nullable=False),
            Column("digest", LargeBinary(32), nullable=False),
            Column(text, Text, nullable=False),
            PrimaryKeyConstraint("id", name=f"pk_{name}"),
            UniqueConstraint("digest", name=f"uq_{name}_digest"),
        )
    for name, text in (("price_revisions", "reason"), ("price_overrides", "price")):
        op.create_table(
            name,
            Column("id", NUMBER, nullable=False),
            Column("created_at", BigInteger, nullable=False),
            Column(text, Text, nullable=False),
            PrimaryKeyConstraint("id", name=f"pk_{name}"),
        )
    op.create_table(
        "card_prices",
        Column("id", NUMBER, nullable=False),
        Column("card_id", NUMBER, nullable=False),
        Column("revision", NUMBER, nullable=False),
        Column("price_list_id", NUMBER, nullable=False),
        PrimaryKeyConstraint("id", name="pk_card_prices"),
        UniqueConstraint("card_id", "revision", name="uq_card_prices_card_id"),
        ForeignKeyConstraint(["card_id"], ["rate_cards.id"], name="fk_card_prices_card_id"),
        ForeignKeyConstraint(["price_list_id"], ["price_lists.id"], name="fk_card_prices_price_list_id"),
    )
