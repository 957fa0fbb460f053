"""`mouachir months`: the parts in which messages lie, and taking an old one off."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from gateway.cli.opening import by, opened
from gateway.outbox import months as parted
from gateway.registry import audit


@click.group()
def months() -> None:
    """Messages lie in a part for each month, on PostgreSQL."""


@months.command(name="list")
def list_() -> None:
    """Every part, with about how many rows it has."""
    with opened() as runtime, runtime.database.engine.connect() as connection:
        found = parted.parts(connection)
    for part in found:
        click.echo(f"{part.first:%Y-%m}  {part.table:8} {part.rows:>12,}")
    if not found:
        click.echo("this database has no parts: only PostgreSQL keeps messages by month")


@months.command()
@click.argument("month", type=click.DateTime(["%Y-%m"]))
@click.option("--into", "folder", type=click.Path(file_okay=False, path_type=Path), required=True,
              help="where the files are written; what is personal in them stays sealed")
@by
def archive(month: datetime, folder: Path, by: str) -> None:
    """Write a month that is over into files and take it off, while everything goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    with opened() as runtime:
        try:
            files = parted.archive(runtime.database, month.date(), folder)
        except parted.NotArchivable as error:
            raise click.ClickException(str(error)) from None
        with runtime.database.write() as session:
            audit.record(session, runtime.vault, "messages.archived", by=by, now=runtime.clock(),
                         subject=f"{month:%Y-%m}")
    for file in files:
        click.echo(f"{file}  {file.stat().st_size:,} bytes")


commands = [months]
