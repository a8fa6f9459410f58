"""The file of public prices that was taken last."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    number = BigInteger().with_variant(Integer, "sqlite")
    op.create_table(
        "price_files",
        Column("serial", number, nullable=False, autoincrement=False),
        Column("sha256", String(64), nullable=False),
        Column("made", String(10), nullable=False),
        Column("confirmed_through", String(10), nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("set_at", BigInteger, nullable=False),
        Column("actor", Text, nullable=False),
        PrimaryKeyConstraint("serial", name="pk_price_files"),
    )
