"""Commands on complaints."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from sqlalchemy.orm import Session

from gateway.cli.naming import household_of
from gateway.cli.opening import opened
from gateway.registry import complaint, complaint_handling, complaint_reading, voice_message
from gateway.registry.clock import CASABLANCA
from gateway.registry.complaint import TRANSITIONS, Complaint
from gateway.registry.complaint_category import CATEGORIES
from gateway.registry.events import Event
from gateway.registry.household import Household
from gateway.registry.numbers import kind_of, read_number, spaced
from gateway.registry.steps import NotAllowed
from gateway.registry.voice_message import VoiceMessage
from gateway.runtime import Runtime

OWNERS = sorted({category.owner for category in CATEGORIES.values()})


@dataclass(frozen=True)
class Desk:
    """Who acts, in which transaction. A focal point may see and handle sensitive complaints; the audit shows who."""

    runtime: Runtime
    session: Session
    by: str
    focal_points: tuple[str, ...]

    @property
    def now(self) -> datetime:
        return self.runtime.clock()

    def act(self, verb: Callable[..., list[Event]], number: str, *arguments: Any, **named: Any) -> None:
        """Do it to the complaint of this number, tell the household, and say how it stands."""
        found = complaint.find(self.session, number)
        events = verb(self.session, self.runtime.vault, found.id, *arguments, by=self.by, now=self.now, **named)
        self.runtime.teller.tell(self.session, events, self.now)
        click.echo(f"{spaced(number)}  {found.state}")


@contextmanager
def _desk(by: str, role: str) -> Iterator[Desk]:
    with opened() as runtime, runtime.database.write() as session:
        yield Desk(runtime, session, by, (by,) if role == "focal_point" else ())


def _acting(command: Callable[..., None]) -> Callable[..., None]:
    """A command that somebody does, as a clerk or as a focal point."""
    @click.option("--by", default=getpass.getuser, show_default="your name on this machine", help="who does this")
    @click.option("--as", "role", type=click.Choice(["clerk", "focal_point"]), default="clerk", show_default=True,
                  help="a focal point sees and handles sensitive complaints")
    @wraps(command)
    def wrapped(by: str, role: str, **named: Any) -> None:
        with _desk(by, role) as desk:
            command(desk, **named)
    return wrapped


def _number(_context: click.Context, _parameter: click.Parameter, typed: str) -> str:
    number = read_number(typed)
    if number is None or kind_of(number) != "complaint":
        raise click.BadParameter("a complaint's number has nine digits and begins with 3, and these do not fit each "
                                 "other: check it with whoever gave it")
    return number


NUMBER = click.argument("number", callback=_number)


@click.group(name="complaint")
def group() -> None:
    """Complaints: file, follow, handle and answer them."""


@group.command(name="file")
@click.argument("category", type=click.Choice(list(CATEGORIES)))
@click.option("--household", "named", help="the household's number (10 digits), or that of one of its complaints")
@click.option("--anonymous", is_flag=True, help="nobody's: followed by its number alone")
@click.option("--text", help="what is complained of; `-` reads it from standard input")
@_acting
def file_(desk: Desk, category: str, named: str | None, anonymous: bool, text: str | None) -> None:
    """File a complaint at a desk and say its number."""
    if anonymous == bool(named):
        raise click.UsageError("say whose it is: --household NUMBER, or --anonymous, and not both")
    household = _household(desk, named) if named else None
    filed = complaint.file(
        desk.session, desk.runtime.vault, household_id=household.id if household else None, category=category,
        channel="desk", msisdn_blind=None, asked_by=f"desk/{uuid4()}", named=True, text=_text(text), by=desk.by,
        now=desk.now)
    desk.runtime.teller.tell(desk.session, [filed], desk.now)
    found = desk.session.get_one(Complaint, filed.complaint_id)
    handled = f"handled here, answer by {_day(found.due_at)}" if filed.owner == "here" else f"sent on to {filed.owner}"
    click.echo(f"{spaced(filed.number)}  {handled}; the household follows it by this number")


@group.command(name="list")
@click.option("--state", type=click.Choice(sorted(TRANSITIONS)), help="only those in this state")
@click.option("--owner", type=click.Choice(OWNERS), help="only those that this register handles")
@click.option("--late", is_flag=True, help="only those whose time limit has passed")
@click.option("--sensitive", is_flag=True, help="the queue of the focal points, numbers only")
@_acting
def list_(desk: Desk, state: str | None, owner: str | None, late: bool, sensitive: bool) -> None:
    """Complaints, the one that is due first at the top. Sensitive ones only for a focal point."""
    for one in complaint_reading.listed(desk.session, now=desk.now, by=desk.by, state=state, owner=owner, late=late,
                                        sensitive=sensitive, focal_points=desk.focal_points):
        what = f"{'sensitive':20}" if one.sensitive else f"{one.category:20} {one.owner:19}"
        risk = "at risk" if one.at_risk_at else ""
        click.echo(f"{spaced(one.number)}  {one.state:12} due {_day(one.due_at)}  {what} "
                   f"{one.assigned_to or '-':20} {risk}".rstrip())
    if not sensitive:
        click.echo("sensitive ones are not listed here (--sensitive, for a focal point)", err=True)


@group.command()
@NUMBER
@click.option("--text", "with_text", is_flag=True, help="also what was written, for whoever it is assigned to")
@_acting
def show(desk: Desk, number: str, with_text: bool) -> None:
    """How one complaint stands. That it was looked at is written down."""
    found = complaint.find(desk.session, number)
    seen: dict[str, Any] = {"by": desk.by, "now": desk.now, "focal_points": desk.focal_points}
    complaint_reading.view(desk.session, desk.runtime.vault, found.id, **seen)
    spoken = voice_message.of(desk.session, found.id)
    for label, value in _lines(found, spoken):
        click.echo(f"{label:12} {value}")
    if with_text:
        read = voice_message.read_transcript if spoken else complaint_reading.read_text
        click.echo(f"\n{read(desk.session, desk.runtime.vault, found.id, **seen) or 'nothing was written'}")


@group.command()
@NUMBER
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="the file to be made for it (.mp3), which must not be there yet")
@_acting
def listen(desk: Desk, number: str, out: Path) -> None:
    """Hear what was spoken, for whoever it is assigned to. Delete the file when it was heard."""
    found = complaint.find(desk.session, number)
    audio = voice_message.listen(desk.session, desk.runtime.vault, found.id, by=desk.by, now=desk.now,
                                 focal_points=desk.focal_points)
    _write_private(out, audio)
    click.echo(f"{spaced(number)}  {out}")


@group.command()
@NUMBER
@click.option("--text", default="-", help="what was said, in words; read from standard input if not given")
@_acting
def transcribe(desk: Desk, number: str, text: str) -> None:
    """Write down what was spoken: the sound is deleted after a time, the words stay."""
    found = complaint.find(desk.session, number)
    voice_message.transcribe(desk.session, desk.runtime.vault, found.id, _text(text) or "", by=desk.by, now=desk.now,
                             focal_points=desk.focal_points)
    click.echo(f"{spaced(number)}  written down")


@group.command()
@NUMBER
@click.option("--to", required=True, help="who handles it; of a sensitive one, its focal point")
@_acting
def assign(desk: Desk, number: str, to: str) -> None:
    """Give it to a named person."""
    desk.act(complaint_handling.assign, number, to, focal_points=desk.focal_points)


@group.command()
@NUMBER
@_acting
def begin(desk: Desk, number: str) -> None:
    """Begin to look into it."""
    desk.act(complaint_handling.begin, number, focal_points=desk.focal_points)


@group.command()
@NUMBER
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), required=True, help="the last day it waits")
@click.option("--reason", type=click.Choice(complaint_handling.HOLD_REASONS), required=True)
@_acting
def hold(desk: Desk, number: str, until: datetime, reason: str) -> None:
    """Let it wait until a day; that time does not count."""
    desk.act(complaint_handling.hold, number, until=until.date(), reason=reason, focal_points=desk.focal_points)


@group.command()
@NUMBER
@_acting
def resume(desk: Desk, number: str) -> None:
    """End its waiting."""
    desk.act(complaint_handling.resume, number, focal_points=desk.focal_points)


@group.command()
@NUMBER
@_acting
def escalate(desk: Desk, number: str) -> None:
    """Hand it to a supervisor."""
    desk.act(complaint_handling.escalate, number, focal_points=desk.focal_points)


@group.command()
@NUMBER
@click.argument("resolution", type=click.Choice(complaint_handling.RESOLUTIONS))
@click.option("--answer", default="-", help="the answer to the household; read from standard input if not given")
@_acting
def resolve(desk: Desk, number: str, resolution: str, answer: str) -> None:
    """Answer it, with a code and in words."""
    desk.act(complaint_handling.resolve, number, resolution=resolution, answer=_text(answer) or "",
             focal_points=desk.focal_points)


@group.command()
@NUMBER
@_acting
def close(desk: Desk, number: str) -> None:
    """Put an answered complaint away."""
    desk.act(complaint_handling.close, number, focal_points=desk.focal_points)


@group.command()
@NUMBER
@_acting
def reopen(desk: Desk, number: str) -> None:
    """The household is not content with the answer: once, within 15 days."""
    desk.act(complaint_handling.reopen, number)


@group.command()
@NUMBER
@click.argument("digit", type=click.IntRange(1, 5))
@_acting
def rate(desk: Desk, number: str, digit: int) -> None:
    """Note how content the household is: 1 (not content) to 5 (content)."""
    desk.act(complaint_handling.rate, number, digit)


def _household(desk: Desk, named: str) -> Household:
    try:
        return desk.session.get_one(Household, household_of(desk.session, desk.runtime.vault, named))
    except NotAllowed as error:
        raise NotAllowed(f"{error} Or file the complaint with --anonymous.") from None


def _text(given: str | None) -> str | None:
    return sys.stdin.read() if given == "-" else given


def _write_private(file: Path, content: bytes) -> None:
    """For the eyes of the user alone; nothing that is there is written over."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be made: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as made:
        made.write(content)


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(CASABLANCA):%Y-%m-%d %H:%M}" if moment else "-"


SPOKEN = {"announced": "not fetched yet", "fetched": "to be heard", "gone": "lost", "expired": "deleted"}


def _spoken(message: VoiceMessage) -> str:
    written = ", written down" if message.transcript_sealed else ""
    return f"{message.seconds or '?'} s, {SPOKEN[message.state]}{written}"


def _lines(found: Complaint, spoken: VoiceMessage | None) -> list[tuple[str, str]]:
    """What a clerk needs to know; empty ones are left out."""
    waits = f"{found.hold_until} {found.hold_reason}" if found.hold_until else ""
    lines = [
        ("number", spaced(found.number)),
        ("state", f"{found.state} since {_day(found.since)}"),
        ("category", found.category),
        ("owner", found.owner),
        ("received", f"{_day(found.received_at)}, {found.channel}"),
        ("spoken", _spoken(spoken) if spoken else ""),
        ("assigned to", found.assigned_to or ""),
        ("take up by", "" if found.first_action_at else _day(found.first_action_by)),
        ("due", _day(found.due_at)),
        ("waits until", waits),
        ("at risk", _day(found.at_risk_at)),
        ("escalated", _day(found.escalated_at)),
        ("resolution", found.resolution or ""),
        ("reopened", _day(found.reopened_at)),
        ("rated", f"{found.satisfaction} of 5" if found.satisfaction else ""),
    ]
    return [(label, value) for label, value in lines if value not in ("", "-")]


commands: tuple[click.Command, ...] = (group,)
