"""Migrations: how the tables came to be what they are (Alembic)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError


class UnknownRevision(Exception):
    """This database was made by a version that this one does not follow: make a new one, and import again."""


def upgrade(database_url: str) -> None:
    """Bring the database to the last revision. Does nothing when it is there.

    Raises `UnknownRevision` for a database that another line of versions made.
    """
    try:
        command.upgrade(configuration(database_url), "head")
    except CommandError as error:
        raise UnknownRevision(str(error)) from None


def configuration(database_url: str) -> Config:
    """Alembic's configuration; there is no alembic.ini, so that no second place names a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    return config
