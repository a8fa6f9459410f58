"""The day of what a card says: card_prices.day."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, take it from the cards, and index it."""
    op.add_column("card_prices", Column("day", BigInteger, nullable=False, server_default="0"))
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    day = "json_extract(subject, '$.day')" if on_sqlite else "CAST(CAST(subject AS json) ->> 'day' AS BIGINT)"
    op.execute(f"UPDATE card_prices SET day = (SELECT {day} FROM rate_cards WHERE rate_cards.id = card_prices.card_id)")
    op.create_index("ix_card_prices_day", "card_prices", ["day", "price_list_id", "revision"])
