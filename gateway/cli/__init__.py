"""The command line: `mouachir`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO

import click
import sqlalchemy as sa

from gateway import embedded, logs
from gateway.cli import (
    audits,
    campaigns,
    complaints,
    dialogues,
    figures,
    letters,
    months,
    phones,
    programmes,
    recordings,
    registrations,
    rescore,
    reviews,
    routes,
    scores,
    slips,
    suppressions,
    updates,
)
from gateway.cli.opening import MANY, by, opened, settings
from gateway.importing import import_extract
from gateway.migrations import upgrade
from gateway.outbox import TRANSITIONS, Message
from gateway.outbox import months as parted
from gateway.registry.index import BadFormula, CannotCompute, Formula, UnknownTerm, compute
from gateway.registry.numbers import read_number, spaced
from gateway.registry.phones import NotATelephone, telephone
from gateway.registry.sample import write_sample
from gateway.settings import SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Mouachir: tells households their index by text, letter and USSD."""
    # Whatever is written is for its user alone: extracts, reports, the tray, the embedded database.
    os.umask(0o077)
    logs.set_up()


@main.command()
def up() -> None:
    """Run everything on this machine until Ctrl-C, with a sandbox operator."""
    try:
        _up()
    except (embedded.AlreadyRunning, SettingsError) as error:
        raise click.ClickException(str(error)) from None


def _up() -> None:
    with embedded.house(embedded.VAR) as house:
        click.echo(f"handsets:  {house.operator_url}/\ngateway:   {house.gateway_url}/health/ready\n"
                   f"dial:      mouachir dial '*580#' --from 0612345678\nCtrl-C stops everything.")
        house.wait()


@main.command()
def demo() -> None:
    """Run the main job and tell it as a tour: 2,000 households, faults included."""
    from gateway.demo import tour

    sys.exit(tour())


@main.command()
@click.option("--households", type=click.IntRange(1), required=True)
@click.option("--seed", type=int, required=True)
@click.option("--out", type=click.File("wb"), required=True)
def sample(households: int, seed: int, out: BinaryIO) -> None:
    """Write an extract of invented households, some with rows that must be refused."""
    counts = write_sample(out, households, seed, date.today())  # noqa: DTZ011
    click.echo(f"{out.name}: {counts.households} households, {counts.bad} bad rows, {counts.with_mobile} with a mobile")


@main.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="where refusals are written")
@by
def import_(file: Path, report: Path | None, by: str) -> None:
    """Load a registry extract, compute each index, and post what each household must be told."""
    report = report or file.with_suffix(".report.jsonl")
    if report.resolve() == file.resolve() or not report.resolve().parent.is_dir():
        raise click.UsageError(f"--report: {report} is the extract itself, or in no folder that exists")
    with opened(new=True) as runtime, file.open("rb") as stream:
        size = max(file.stat().st_size, 1)
        with click.progressbar(length=size, label=f"import {file.name}") as bar:
            done = import_extract(runtime, stream, report, lambda position: bar.update(position - bar.pos), by=by)
    click.echo(f"{done.new} new, {done.changed} changed, {done.unchanged} as before, {done.refused} refused, "
               f"{done.unscored} without an index, {done.posted} notices posted; report: {report}")
    if done.refused and not done.new + done.changed + done.unchanged:
        raise click.ClickException("no row could be loaded: is this an extract? See docs/extract.md")


@main.command()
@click.option("--area", type=click.Choice(["urban", "rural"]), required=True)
@click.option("--region", type=click.IntRange(1, 12), required=True)
@click.option("--formula", default="rsu-2021", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="every contribution as JSON")
@click.argument("terms", nargs=-1)
def index(area: str, region: int, formula: str, as_json: bool, terms: tuple[str, ...]) -> None:
    """Compute an index from the values of its terms, as U19=4 U20=16; a term not given counts 0."""
    values = dict(_term(term) for term in terms)
    if len(values) < len(terms):
        raise click.UsageError("a term is given twice")
    try:
        chosen = Formula.load(formula)
        result = compute(chosen, area, region, values)
    except (BadFormula, UnknownTerm, CannotCompute) as error:
        raise click.UsageError(str(error)) from None
    shown = f"{chosen.displayed(result.value):f}"
    if as_json:
        click.echo(
            json.dumps(
                {
                    "index": shown,
                    "exact": f"{result.value:f}",
                    "formula": result.formula,
                    "digest": result.digest,
                    "contributions": [line.as_text() for line in result.contributions],
                },
                indent=1,
            )
        )
    else:
        click.echo(shown)


@main.command()
@click.argument("code")
@click.option("--from", "caller", required=True, help="the telephone that dials")
def dial(code: str, caller: str) -> None:
    """Call the service from this terminal, through the HTTP door of the running gateway."""
    from gateway.dialling import Call, NoAnswer

    try:
        call = Call(settings(), telephone(caller).msisdn, code)
        shown = call.start()
        click.echo(f"\n{shown.text}\n")
        while not shown.final:
            shown = call.type(click.prompt(">", prompt_suffix=" ", default="", show_default=False))
            click.echo(f"\n{shown.text}\n")
        call.hang_up()
    except (NotATelephone, NoAnswer) as error:
        raise click.ClickException(str(error)) from None
    except click.Abort:
        with suppress(NoAnswer):
            call.hang_up()


@main.command()
@click.option("--state", type=click.Choice(sorted(TRANSITIONS)), help="only those in this state")
@click.option("--reference", help="the code at the end of a text or on a letter: is it ours?")
@click.option("--limit", type=MANY, default=20, show_default=True)
def messages(state: str | None, reference: str | None, limit: int) -> None:
    """Messages by medium and state, then the last ones. Texts and telephones stay sealed."""
    number = read_number(reference) if reference else None
    if reference and number is None:
        raise click.UsageError("--reference: a code of ours has nine digits, and these do not fit each other")
    with opened() as runtime, runtime.database.read() as session:
        query = sa.select(Message).order_by(Message.changed_at.desc()).limit(limit)
        if number:
            query = query.where(Message.reference == number)
        else:
            for medium, stands, count in session.execute(
                    sa.select(Message.medium, Message.state, sa.func.count())
                    .group_by(Message.medium, Message.state).order_by(Message.medium, Message.state)):
                click.echo(f"{medium:7} {stands:10} {count}")
        for message in session.scalars(query.where(Message.state == state) if state else query):
            click.echo(f"{message.changed_at:%Y-%m-%d %H:%M:%S} {message.medium:7} {message.state:10} "
                       f"{message.notice:18} {message.locale} {spaced(message.reference)}")


@main.command()
def release() -> None:
    """Bring the database to this version's tables (Alembic). Run before the new processes start."""
    with opened(prepare=False) as runtime:
        upgrade(runtime.settings.database_url)
        with runtime.database.write() as session:
            parted.prepare(session.connection(), runtime.clock().date())
    click.echo("database: up to date")


def _term(written: str) -> tuple[str, Decimal]:
    name, _, value = written.partition("=")
    try:
        return name, Decimal(value)
    except InvalidOperation:
        raise click.UsageError(f"{name}: write a term as NAME=VALUE, for instance U19=4") from None


for room in (registrations, scores, rescore, programmes, reviews, complaints, updates, audits, figures, dialogues,
             phones, suppressions, letters, slips, recordings, months, routes, campaigns):
    for command in room.commands:
        main.add_command(command)
