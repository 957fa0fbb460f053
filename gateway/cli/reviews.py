"""Commands on reviews: what a clerk does with a contest of the index, from the list to the decision."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from uuid import uuid4

import click
from sqlalchemy.orm import Session

from gateway.cli.naming import household_of
from gateway.cli.opening import MANY, by, opened
from gateway.registry import evidence, items, review, review_desk
from gateway.registry.clock import day_of
from gateway.registry.events import ReviewAsked
from gateway.registry.numbers import read_number, spaced
from gateway.registry.review import Review, Window
from gateway.registry.steps import NotAllowed

text = click.option("--text", help="what the household is told; without it, it is read from standard input")


@click.group(name="review")
def reviews() -> None:
    """Reviews: households that contest their index."""


@reviews.command(name="list")
@click.option("--state", type=click.Choice(list(review.TRANSITIONS)), help="only those in this state")
@click.option("--at-risk", is_flag=True, help="only those whose promised day is near or has passed")
@click.option("--mine", is_flag=True, help="only those assigned to you (--by)")
@click.option("--limit", type=MANY, default=100, show_default=True)
@by
def list_(state: str | None, at_risk: bool, mine: bool, limit: int, by: str) -> None:
    """List reviews, the one promised first at the top."""
    with opened() as runtime, runtime.database.read() as session:
        for row in review_desk.listed(session, state=state, at_risk=at_risk, limit=limit,
                                      assigned_to=review_desk.clerk(by) if mine else None):
            click.echo(_line(row))


@reviews.command()
@click.argument("number")
@by
def show(number: str, by: str) -> None:
    """Show one review: its clock, what is contested, what was entered. That you saw it is written down."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        review.record(session, runtime.vault, row, "seen", by=review_desk.clerk(by), now=runtime.clock())
        click.echo(_line(row))
        for line in _details(session, row):
            click.echo(f"  {line}")


@reviews.command()
@click.argument("number")
@click.option("--to", required=True, help="the clerk who takes it")
@by
def assign(number: str, to: str, by: str) -> None:
    """Give a review to a clerk."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        review_desk.assign(session, runtime.vault, row.id, to, by=by, now=runtime.clock())
        click.echo(_line(row))


@reviews.command()
@click.argument("number")
@click.argument("code", type=click.Choice(review_desk.NEEDS))
@click.option("--by-day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="the last day to bring it")
@by
def need(number: str, code: str, by_day: datetime, by: str) -> None:
    """Ask the household for something; the clock of the answer rests until then."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        event = review_desk.need_information(session, runtime.vault, row.id, code, by_day.date(), by=by,
                                             now=runtime.clock())
        runtime.teller.tell(session, [event], runtime.clock())
        click.echo(_line(row))


@reviews.command()
@click.argument("number")
@by
def received(number: str, by: str) -> None:
    """The household brought what was needed."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        review_desk.information_received(session, runtime.vault, row.id, by=by, now=runtime.clock())
        click.echo(_line(row))


@reviews.command()
@click.argument("number")
@click.argument("item")
@click.argument("value")
@click.option("--why", required=True, help="the paper or answer that it rests on; no names")
@by
def correct(number: str, item: str, value: str, why: str, by: str) -> None:
    """Enter the right VALUE of an ITEM, as equipment.cars 0; it counts once somebody else accepts."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        review_desk.enter_correction(session, runtime.vault, row.id, item, items.typed(item, value), why=why, by=by,
                                     now=runtime.clock())
        click.echo(f"{spaced(row.number)}  {item}: entered, waits for the decision of another clerk")


@reviews.command()
@click.argument("number")
@click.option("--text", default="", help="what the household is told beside the reason that is worded for it")
@by
def accept(number: str, text: str, by: str) -> None:
    """Accept: the corrections count, and the household is scored again."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        events = review_desk.accept(session, runtime.vault, runtime.scorer, row.id, text=text, by=by,
                                    now=runtime.clock())
        runtime.teller.tell(session, events, runtime.clock())
        click.echo(_line(row))


@reviews.command()
@click.argument("number")
@click.argument("reason", type=click.Choice(review_desk.REASONS))
@text
@by
def refuse(number: str, reason: str, text: str | None, by: str) -> None:
    """Refuse with a REASON and a text; the index stands."""
    text = _text(text)
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        event = review_desk.refuse(session, runtime.vault, row.id, reason=reason, text=text, by=by, now=runtime.clock())
        runtime.teller.tell(session, [event], runtime.clock())
        click.echo(_line(row))


@reviews.command()
@click.argument("number")
@by
def withdraw(number: str, by: str) -> None:
    """The household, at the centre, takes its request back."""
    with opened() as runtime, runtime.database.write() as session:
        row = _review(session, number)
        review.withdraw(session, runtime.vault, row.id, by=review_desk.clerk(by), now=runtime.clock())
        click.echo(_line(row))


@reviews.command()
@click.argument("household")
@click.option("--item", "contested", multiple=True, help="what is contested, as equipment.cars; none: the whole index")
@by
def ask(household: str, contested: tuple[str, ...], by: str) -> None:
    """Ask for a review for a HOUSEHOLD that stands at the counter."""
    with opened() as runtime, runtime.database.write() as session:
        now = runtime.clock()
        asked = review.ask(session, runtime.vault, household_of(session, runtime.vault, household), channel="centre",
                           asked_by=uuid4().hex, contested=contested, by=review_desk.clerk(by), now=now,
                           answer_within=timedelta(days=runtime.settings.review_answer_days))
        if isinstance(asked, ReviewAsked):
            runtime.teller.tell(session, [asked], now)
            click.echo(f"{spaced(asked.number)}  answer by {asked.answer_by}")
        else:
            raise NotAllowed(why_not(asked))


commands: tuple[click.Command, ...] = (reviews,)


def why_not(seen: Window) -> str:
    """Why a review cannot be asked for, for a clerk."""
    if seen.review:
        return f"This index is contested already: {spaced(seen.review.number)}, {seen.review.state}."
    if seen.state == "late":
        return f"The sixty days ended on {seen.last_day}. A data update or a complaint is still possible."
    return "This household has no index, or is out of the register: there is nothing to review."


def _line(row: Review) -> str:
    marks = [mark for mark, at in (("late", row.late_at), ("at risk", row.at_risk_at)) if at and not row.decided_at]
    return (f"{spaced(row.number)}  {row.state:17}  asked {day_of(row.asked_at)}  answer by {row.promised_by}  "
            f"{row.assigned_to or '-':20}  {', '.join(marks[:1])}").rstrip()


def _details(session: Session, row: Review) -> list[str]:
    """Values are what a clerk decides on; the household is not named, and the text of a decision stays sealed."""
    contested = items.kept(session, row.household_id, row.items)
    lines = [f"contests {one.item} (from {one.source})" for one in contested] or ["contests the index as a whole"]
    if row.state == "needs_information":
        lines.append(f"waits for {row.needs} until {row.needed_by}")
    places = evidence.positions(session, [row.household_id])
    for entered in review_desk.corrections(session, row.id):
        item = evidence.placed(entered, places) or "a member who has left"
        lines.append(f"{day_of(entered.entered_at)} {item} = {json.dumps(entered.value)}, entered by "
                     f"{entered.entered_by}: {entered.reason}")
    if row.outcome:
        lines.append(f"{row.outcome}: {row.reason}, by {row.decided_by}")
    return lines


def _review(session: Session, typed: str) -> Review:
    number = read_number(typed)
    if number is None:
        raise NotAllowed("A number of ours has nine digits, and these do not fit each other: type it again.")
    return review.by_number(session, number)


def _text(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        click.echo("Write what the household is told, and end with Ctrl-D:", err=True)
    return sys.stdin.read() if given is None else given
