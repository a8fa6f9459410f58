"""Registries as earlier versions left them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url

from usageledger.registry import migrations


def first_tables(url: str) -> None:
    """Makes the tables of the first version."""
    if file := make_url(url).database if url.startswith("sqlite") else None:
        Path(file).parent.mkdir(exist_ok=True)
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0].replace("%", "%%"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
