"""Commands on registrations: coming in, what partner bodies answer, where a household stands, leaving, coming back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar

import click
from sqlalchemy.orm import Session

from gateway.answering import take_answers
from gateway.cli.naming import known, registration_of
from gateway.cli.opening import MANY, by, opened
from gateway.importing import import_extract
from gateway.registry import inquiry, promise, registration, verification
from gateway.registry.clock import day_of
from gateway.registry.numbers import spaced
from gateway.registry.registration import Registration
from gateway.registry.sample import write_answers
from gateway.registry.standing import Standing, standing
from gateway.registry.steps import NotAllowed
from gateway.runtime import Runtime
from gateway.whereabouts import whereabouts
from gateway.words import LOCALES

Done = TypeVar("Done")
KEPT_OVER = timedelta(days=90)

a_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
a_report = click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="where refusals are written")
why = click.option("--why", required=True, help="a sentence for the record; it names nobody")


@click.command()
@a_file
@a_report
@by
def register(file: Path, report: Path | None, by: str) -> None:
    """Load fresh registrations: each gets a slip number, and partner bodies are asked before anything is scored."""
    done, report = _read(file, report, lambda runtime, stream, report, progress: import_extract(
        runtime, stream, report, progress, verified=False, by=by))
    click.echo(f"{done.new} new, {done.changed} changed, {done.unchanged} as before, {done.refused} refused, "
               f"{done.waiting} of them pre-registered, {done.asked} being verified, {done.unscored} without an index, "
               f"{done.out} withdrawn or struck off, {done.posted} notices posted; report: {report}")
    if done.refused and not done.new + done.changed + done.unchanged + done.waiting:
        raise click.ClickException("no row could be registered: is this an extract? See docs/extract.md")


@click.command()
@a_file
@a_report
@by
def answers(file: Path, report: Path | None, by: str) -> None:
    """Load what partner bodies answer, and score the households that it moves or completes."""
    done, report = _read(file, report, lambda runtime, stream, report, progress: take_answers(
        runtime, stream, report, progress, by=by))
    click.echo(f"{done.stored} new, {done.repeated} known before, {done.refused} refused, {done.changed} households "
               f"changed, {done.posted} notices posted; report: {report}")
    if done.refused and not done.stored + done.repeated:
        raise click.ClickException("no answer could be kept: is this a file of answers? See docs/answers.md")


@click.command()
@click.argument("number")
@click.option("--language", type=click.Choice(LOCALES), help="in the words that the household is told")
def where(number: str, language: str | None) -> None:
    """Where a household stands, by its slip number or household number."""
    with opened() as runtime, runtime.database.read() as session:
        here = standing(session, runtime.vault, number, runtime.clock())
        if here is None:
            raise NotAllowed("No registration has this number. Write the 9 digits of the slip, or the 10 of the "
                             "household.")
        for line in whereabouts(runtime.words, language, here) if language else _codes(here):
            click.echo(line)


@click.command()
@click.option("--limit", type=MANY, default=100, show_default=True)
def late(limit: int) -> None:
    """Households whose tenth day has passed untold, the longest waiting first; and how the promise was kept lately."""
    with opened() as runtime, runtime.database.read() as session:
        now = runtime.clock()
        first, last = day_of(now) - KEPT_OVER, day_of(now)
        rows = promise.late(session, now, limit)
        kept = promise.share_in_time(session, first, last, now)
        bodies = inquiry.waiting_times(session, first, last)
    for row in rows:
        click.echo(f"{spaced(row.number)}  {row.state:10}  {row.registered_on}  {row.days:4} days  "
                   f"{', '.join(row.waits_for) or '-'}")
    click.echo(f"{len(rows)} late" + (", or more: see --limit" if len(rows) == limit else ""))
    for body in bodies:
        took = f"median {body.median_days} days, p90 {body.p90_days} days" if body.answered else "no answer"
        click.echo(f"{body.partner:19}  {body.open:6} open, in the last {KEPT_OVER.days} days: {took}")
    click.echo(f"told in time in the last {KEPT_OVER.days} days: {kept.in_time} of {kept.registered}")


@click.group(name="registration")
def registrations() -> None:
    """One registration: leaving the register, coming back, and being scored before every body has answered."""


@registrations.command()
@click.argument("number")
@why
@by
def withdraw(number: str, why: str, by: str) -> None:
    """The household does not want to be registered any more."""
    with opened() as runtime, runtime.database.write() as session:
        row = registration_of(session, runtime.vault, number)
        registration.withdraw(session, runtime.vault, row.id, why=why, by=by, now=runtime.clock())
        _forget(runtime, session, row)
        click.echo(f"{spaced(row.number)}  withdrawn")


@registrations.command(name="strike-off")
@click.argument("number")
@click.option("--reason", type=click.Choice(registration.STRUCK_OFF_FOR), required=True)
@why
@by
def strike_off(number: str, reason: str, why: str, by: str) -> None:
    """Take a household out of the register: it is neither scored nor told any more."""
    with opened() as runtime, runtime.database.write() as session:
        row = registration_of(session, runtime.vault, number)
        registration.strike_off(session, runtime.vault, row.id, reason=reason, why=why, by=by, now=runtime.clock())
        _forget(runtime, session, row)
        click.echo(f"{spaced(row.number)}  struck off for {reason}")


@registrations.command()
@click.argument("number")
@why
@by
def reinstate(number: str, why: str, by: str) -> None:
    """Put a household back into the register; its data are verified anew."""
    with opened() as runtime, runtime.database.write() as session:
        row = registration_of(session, runtime.vault, number)
        registration.reinstate(session, runtime.vault, row.id, why=why, by=by, now=runtime.clock())
        click.echo(f"{spaced(row.number)}  verifying")


@registrations.command(name="score-anyway")
@click.argument("number")
@why
@by
def score_anyway(number: str, why: str, by: str) -> None:
    """Score a household now, although a body has not answered."""
    with opened() as runtime, runtime.database.write() as session:
        now, row = runtime.clock(), registration_of(session, runtime.vault, number)
        events = verification.score_anyway(session, runtime.vault, runtime.scorer, known(row), why=why, by=by,
                                           now=now)
        runtime.teller.tell(session, events, now)
        click.echo(f"{spaced(row.number)}  " + ("scored" if events else "no index can be computed from its data"))


@click.command()
@click.argument("household")
@click.argument("item")
@by
def contest(household: str, item: str, by: str) -> None:
    """A household says that a body is wrong about an ITEM (equipment.cars, members.2.activity): ask it again."""
    with opened() as runtime, runtime.database.write() as session:
        row = registration_of(session, runtime.vault, household)
        found = verification.counting(session, known(row), item)
        if found is None:
            raise NotAllowed("No body has corrected this item, or a clerk has since; there is nothing to contest.")
        verification.contest(session, runtime.vault, known(row), found.id, by=by, now=runtime.clock())
        click.echo(f"{spaced(row.number)}  {found.partner} is asked again about {item}")


@click.command(name="sample-answers")
@a_file
@click.option("--seed", type=int, required=True)
@click.option("--corrected", type=click.IntRange(0, 100), default=5, show_default=True, help="of a hundred answers")
@click.option("--out", type=click.File("wb"), required=True)
def sample_answers(file: Path, seed: int, corrected: int, out: BinaryIO) -> None:
    """Write invented answers of every partner body about the good rows of an invented extract."""
    with file.open("rb") as extract:
        written = write_answers(out, extract, seed, date.today(), corrected / 100)  # noqa: DTZ011
    click.echo(f"{out.name}: {written} answers")


def _read(file: Path, report: Path | None,
          take: Callable[[Runtime, BinaryIO, Path, Callable[[int], None]], Done]) -> tuple[Done, Path]:
    report = report or file.with_suffix(".report.jsonl")
    if report.resolve() == file.resolve() or not report.resolve().parent.is_dir():
        raise click.UsageError(f"--report: {report} is the file itself, or in no folder that exists")
    size = max(file.stat().st_size, 1)
    with (opened(new=True) as runtime, file.open("rb") as stream,
          click.progressbar(length=size, label=f"read {file.name}") as bar):
        return take(runtime, stream, report, lambda position: bar.update(position - bar.pos)), report


def _forget(runtime: Runtime, session: Session, row: Registration) -> None:
    if row.household_id:
        runtime.teller.forget(session, row.household_id, runtime.clock())


def _codes(here: Standing) -> list[str]:
    lines = {"number": spaced(here.number), "state": here.state, "since": str(here.since), "next": here.next_step,
             "by": str(here.by or ""), "late": "yes" if here.late else "", "waits for": ", ".join(here.waits_for),
             "missing": ", ".join(map(str, here.missing))}
    return [f"{name:10} {value}" for name, value in lines.items() if value]


commands: tuple[click.Command, ...] = (register, answers, where, late, registrations, contest, sample_answers)
