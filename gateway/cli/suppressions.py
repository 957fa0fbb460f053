"""Commands on suppressed telephones: how many get no texts, whether one does, and letting texts go to it again."""

from __future__ import annotations

import click

from gateway.cli.opening import by, opened
from gateway.registry import audit, suppression
from gateway.registry import household as households
from gateway.registry.clock import CASABLANCA
from gateway.registry.phones import NotATelephone, telephone
from gateway.registry.steps import NotAllowed

NOT_SUPPRESSED = "This telephone is not suppressed."


@click.group(name="suppressions", invoke_without_command=True)
@click.pass_context
def suppressions(context: click.Context) -> None:
    """Telephones that get no texts: how many, by month and reason. None is shown; letters go all the same."""
    if context.invoked_subcommand:
        return
    with opened() as runtime, runtime.database.read() as session:
        counted = suppression.counts(session)
    for (month, why), number in sorted(counted.items()):
        click.echo(f"{month} {why:16} {number}")
    click.echo(f"{counted.total()} suppressed")


@suppressions.command()
@click.argument("number")
def find(number: str) -> None:
    """Say whether a telephone gets no texts, since when and why."""
    msisdn = _read(number)
    with opened() as runtime, runtime.database.read() as session:
        found = suppression.find(session, runtime.vault, msisdn)
    if found is None:
        raise click.ClickException(NOT_SUPPRESSED)
    click.echo(f"suppressed since {found.since.astimezone(CASABLANCA):%Y-%m-%d %H:%M}: {found.why}, by {found.by}")


@suppressions.command()
@click.argument("number")
@click.option("--why", required=True, help="a sentence for the record; it names nobody")
@by
def lift(number: str, why: str, by: str) -> None:
    """Let texts go to a telephone again, because its holder asks for it. That, and why, is written down."""
    msisdn = _read(number)
    with opened() as runtime, runtime.database.write() as session:
        lifted = households.resume(session, runtime.vault, msisdn)
        if lifted is None:
            raise NotAllowed(NOT_SUPPRESSED)
        audit.record(session, runtime.vault, "suppression.lifted", by=by, now=runtime.clock(), subject=lifted, why=why)
    click.echo("texts go to this telephone again")


def _read(number: str) -> str:
    try:
        return telephone(number).msisdn
    except NotATelephone as error:
        raise click.UsageError(error.reason) from None


commands: tuple[click.Command, ...] = (suppressions,)
