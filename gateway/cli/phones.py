"""Commands on telephones: how many are in doubt."""

from __future__ import annotations

import click

from gateway import doubt
from gateway.cli.opening import opened


@click.group(name="phones")
def phones() -> None:
    """Telephones of households. None is shown."""


@phones.command()
def doubted() -> None:
    """How many wait to be verified again, by reason: typing the PIN from one does it, or a clerk at the centre."""
    with opened() as runtime, runtime.database.read() as session:
        waiting = doubt.waiting(session)
    for reason, number in sorted(waiting.items()):
        click.echo(f"{reason:10} {number}")
    click.echo(f"{waiting.total()} in doubt")


commands: tuple[click.Command, ...] = (phones,)
