"""Migrations: how the tables came to be what they are (Alembic)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(database_url: str) -> None:
    """Bring the database to the last revision. Does nothing when it is there."""
    command.upgrade(configuration(database_url), "head")


def configuration(database_url: str) -> Config:
    """Alembic's configuration; there is no alembic.ini, so that no second place names a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    return config
