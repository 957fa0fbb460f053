"""The command on slips: what a household has ticked and written on the form that it tore off its letter."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from gateway import slips
from gateway.cli.naming import code_of
from gateway.cli.opening import by, opened
from gateway.cli.reviews import why_not
from gateway.registry.clock import day_of
from gateway.registry.events import ReviewAsked
from gateway.registry.numbers import spaced
from gateway.registry.review import Window
from gateway.registry.review_desk import clerk


@click.command()
@click.argument("code")
@click.option("--ticked", type=click.Choice(slips.BOXES), multiple=True, required=True, help="a box; once for each")
@click.option("--text", help="what is written of a complaint; `-` reads it from standard input")
@click.option("--item", "contested", multiple=True,
              help="what is contested by a review, as equipment.cars; none: the whole index")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="the day of the postmark, or on which it was handed in; "
              "today if not given")
@click.option("--of", "of_run", metavar="RUN", help="the run of the letter, where two bear its code")
@by
def slip(code: str, ticked: tuple[str, ...], text: str | None, contested: tuple[str, ...], on: datetime | None,
         of_run: str | None, by: str) -> None:
    """Type in the slip that came back of the letter of this CODE."""
    if text is not None and set(ticked) == {slips.REVIEW}:
        raise click.UsageError("--text is of a complaint; of a review say what is contested, by --item")
    if contested and slips.REVIEW not in ticked:
        raise click.UsageError("--item goes with --ticked review")
    with opened() as runtime:
        filed = slips.take(runtime, code_of(code), ticked, on.date() if on else day_of(runtime.clock()), by=clerk(by),
                           text=sys.stdin.read() if text == "-" else text, contested=contested, of_run=of_run)
        for box, one in filed.items():
            if isinstance(one, slips.Outdated):
                click.echo(f"{box:14} not asked for: the index has changed since this letter; the household is told of "
                           "the new one, and may contest that")
            elif isinstance(one, Window):
                click.echo(f"{box:14} not asked for: {why_not(one)}")
            elif isinstance(one, ReviewAsked):
                click.echo(f"{box:14} {spaced(one.number)}  answer by {one.answer_by}")
            else:
                click.echo(f"{box:14} {spaced(one.number)}")


commands: tuple[click.Command, ...] = (slip,)
