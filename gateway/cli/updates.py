"""Commands on updates: what has changed at a household, its new number, and the yearly question."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal, cast
from uuid import UUID, uuid4

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.cli.naming import household_of
from gateway.cli.opening import MANY, by, opened
from gateway.registry import data_round, declaration, items, number_change, phones, stale, update
from gateway.registry.clock import day_of
from gateway.registry.events import Event, NumberChanged, UpdateReceived
from gateway.registry.numbers import kind_of, read_number, spaced
from gateway.registry.steps import NotAllowed
from gateway.registry.update import BY_TELEPHONE, CENTRE, REGISTER_OF, TRANSITIONS, DataUpdate
from gateway.runtime import Runtime

KINDS = tuple(kind for kind in REGISTER_OF if kind != "phone")
channel = click.option("--channel", type=click.Choice([CENTRE, *BY_TELEPHONE]), default=CENTRE, show_default=True)


@click.group(name="update")
def updates() -> None:
    """Data updates: what has changed at a household."""


@updates.command()
@click.argument("household")
@click.argument("kind", type=click.Choice(KINDS))
@channel
@click.option("--item", "given", multiple=True, metavar="ITEM=VALUE",
              help="apply it at once: equipment.cars=0; lines=... (repeated), commune=...; declarant=2")
@by
def file(household: str, kind: str, channel: str, given: tuple[str, ...], by: str) -> None:
    """Note a change of HOUSEHOLD (its number, or one of an update of it); with --item, apply it."""
    if given and channel != CENTRE:
        raise click.UsageError("--item is for the centre: by telephone a change is only reported")
    with opened() as runtime, runtime.database.write() as session:
        home = household_of(session, runtime.vault, household)
        filed = update.file(session, runtime.vault, home, kind, channel=channel, asked_by=_session(), by=by,
                            now=runtime.clock())
        events: list[Event] = [filed]
        if given:
            events += _apply(session, runtime, filed.update_id, kind, given, by)
        runtime.teller.tell(session, events, runtime.clock())
        _show(session, filed.number)


@updates.command()
@click.argument("household")
@click.argument("new_number")
@channel
@click.option("--no-texts", is_flag=True, help="the new number has not agreed to texts")
@by
def number(household: str, new_number: str, channel: str, no_texts: bool, by: str) -> None:
    """Give HOUSEHOLD a new telephone number: at once at the centre, else after NUMBER_WAIT_HOURS."""
    with opened() as runtime, runtime.database.write() as session:
        home = household_of(session, runtime.vault, household)
        waited = number_change.frozen(session, home, runtime.clock())
        asked = number_change.ask_number(
            session, runtime.vault, home, new_number, channel=channel, asked_by=_session(), by=by,
            now=runtime.clock(), consent=not no_texts, wait=timedelta(hours=runtime.settings.number_wait_hours))
        runtime.teller.tell(session, [asked], runtime.clock())
        _show(session, session.get_one(DataUpdate, asked.update_id).number)
        if waited and isinstance(asked, NumberChanged):
            click.echo("the new number that waited is withdrawn")
        if phones.telephone(new_number).kind != "mobile" or no_texts:
            click.echo("no text goes to this number: the household is told by its other mobile, or by letter")


@updates.command()
@click.argument("number")
@by
def refuse(number: str, by: str) -> None:
    """Refuse a new number that waits, or an update that changes nothing."""
    with opened() as runtime, runtime.database.write() as session:
        digits = _number(number)
        if update.numbered(session, digits).kind == "phone":
            number_change.refuse_number(session, runtime.vault, digits, from_msisdn=None, by=by, now=runtime.clock())
        else:
            update.refuse(session, runtime.vault, digits, by=by, now=runtime.clock())
        _show(session, digits)


@updates.command()
@click.argument("number")
@by
def withdraw(number: str, by: str) -> None:
    """Take an update back, as the household wishes."""
    with opened() as runtime, runtime.database.write() as session:
        update.withdraw(session, runtime.vault, _number(number), by=by, now=runtime.clock())
        _show(session, _number(number))


@updates.command()
@click.argument("number")
@click.argument("outcome", type=click.Choice(["applied", "refused"]))
@by
def answer(number: str, outcome: str, by: str) -> None:
    """Note what another register answered on an update that was forwarded to it."""
    with opened() as runtime, runtime.database.write() as session:
        update.answered(session, runtime.vault, _number(number), cast(Literal["applied", "refused"], outcome), by=by,
                        now=runtime.clock())
        _show(session, _number(number))


@updates.command()
@click.argument("number")
def where(number: str) -> None:
    """Show where an update stands, who has it, and what comes next."""
    with opened() as runtime, runtime.database.read() as session:
        _show(session, _number(number))


@updates.command(name="list")
@click.option("--state", type=click.Choice(list(TRANSITIONS)), help="only those in this state")
@click.option("--limit", type=MANY, default=50, show_default=True)
def list_(state: str | None, limit: int) -> None:
    """List the updates, the one that waits longest at the top; without --state those that are open."""
    with opened() as runtime, runtime.database.read() as session:
        states = [state] if state else list(update.OPEN)
        for one in session.scalars(sa.select(DataUpdate).where(DataUpdate.state.in_(states))
                                   .order_by(DataUpdate.asked_at, DataUpdate.id).limit(limit)):
            until = f"until {day_of(one.effective_at)}" if one.state == "waiting" and one.effective_at else ""
            click.echo(f"{spaced(one.number)}  {one.kind:12} {one.register:19} {one.state:9} "
                       f"{day_of(one.asked_at)} {one.channel:6} {until}".rstrip())


@updates.command(name="not-mine")
@click.argument("telephone")
@by
def not_mine(telephone: str, by: str) -> None:
    """Take a telephone off every household: its holder belongs to none of them. They get letters."""
    with opened() as runtime, runtime.database.write() as session:
        events = number_change.not_mine(session, runtime.vault, telephone, channel=CENTRE, asked_by=_session(), by=by,
                                        now=runtime.clock())
        runtime.teller.disowned(session, phones.telephone(telephone).msisdn, events, runtime.clock())
        click.echo(f"taken off {len(events)} households")


@updates.command(name="round")
@click.argument("household")
@click.argument("said", type=click.Choice(["right", "changed"]))
@click.option("--kind", type=click.Choice(KINDS), help="what has changed")
@channel
@by
def round_(household: str, said: str, kind: str | None, channel: str, by: str) -> None:
    """Note the answer of HOUSEHOLD to the yearly question: are your data still right?"""
    with opened() as runtime, runtime.database.write() as session:
        home = household_of(session, runtime.vault, household)
        events = data_round.answer(session, runtime.vault, runtime.scorer, home, cast(data_round.Answer, said),
                                   kind=kind, channel=channel, asked_by=_session(), by=by, now=runtime.clock())
        runtime.teller.tell(session, events, runtime.clock())
        filed = [event.number for event in events if isinstance(event, UpdateReceived)]
        for number in filed:
            _show(session, number)
        if not filed:
            click.echo(f"noted: the data are right{', and the index is computed anew' if events else ''}")


@click.command(name="stale")
@click.option("--days", type=MANY, default=stale.DAYS, show_default=True)
@click.option("--list", "listed", is_flag=True, help="the registration number of each, instead of the counts")
def stale_(days: int, listed: bool) -> None:
    """Count the households that were not scored anew for a year, by region; or list them."""
    with opened() as runtime, runtime.database.read() as session:
        if listed:
            for one in stale.not_rescored(session, runtime.clock(), days):
                click.echo(f"{spaced(one.number)}  region {one.region:2}  scored {day_of(one.computed_at)}")
            return
        found = stale.count(session, runtime.clock(), days)
        for region, count in found.items():
            click.echo(f"region {region:2}  {count:9}")
        click.echo(f"all        {sum(found.values()):9}")


def _number(typed: str) -> str:
    digits = read_number(typed)
    if digits is None or kind_of(digits) != "update":
        raise NotAllowed("The number of an update has nine digits and begins with 6; these are none.")
    return digits


def _session() -> str:
    return f"cli/{uuid4().hex}"


def _apply(session: Session, runtime: Runtime, update_id: UUID, kind: str, given: Iterable[str], by: str
           ) -> list[Event]:
    pairs = [one.partition("=")[::2] for one in given]
    now = runtime.clock()
    if kind == "address":
        address: dict[str, Any] = {name: value for name, value in pairs if name != "lines"}
        address["lines"] = [value for name, value in pairs if name == "lines"]
        return declaration.apply_address(session, runtime.vault, runtime.scorer, update_id, address, by=by, now=now)
    if kind == "declarant":
        position = dict(pairs).get("declarant", "")
        if not position.isdecimal():
            raise NotAllowed("Say which member: --item declarant=2; positions count from 1.")
        return declaration.apply_declarant(session, runtime.vault, update_id, int(position), by=by, now=now)
    if kind not in declaration.SECTIONS:
        raise NotAllowed(f"The {REGISTER_OF[kind]} register changes this; file it without --item.")
    changed = {name: items.typed(name, value) for name, value in pairs}
    return declaration.apply(session, runtime.vault, runtime.scorer, update_id, changed, by=by, now=now)


def _show(session: Session, number: str) -> None:
    found = update.state_of(session, number)
    if found is None:
        raise NotAllowed("There is no update of this number.")
    click.echo(f"{spaced(found.number)}  {found.kind}\nstate     {found.state} since {found.since}\n"
               f"register  {found.register}\nnext      {found.next_step.replace('_', ' ')}"
               + (f" until {found.by}" if found.by else ""))


commands: tuple[click.Command, ...] = (updates, stale_)
