"""Letters of the outbox: taken into a printing run, printed, spoilt, handed over, posted, brought back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import among
from gateway.outbox.message import PUT_ASIDE, Attempt, Message, Settlement, move, opened, told
from gateway.post import Post
from gateway.registry.clock import CASABLANCA, day_of, is_working_day
from gateway.registry.household import Household
from gateway.vault import Vault

POST = "post"
# Why the post brings a letter back: what can be ticked on its label (UPU, form CN 15, "Return"), and a word for all
# else. `returned_for` in templates/words has what a clerk reads, and what may stand for them in a file of scans.
RETURNED_FOR = ("unknown", "moved", "refused", "insufficient", "unclaimed", "deceased", "other")

# What is reported of a letter: the state that it comes to, and those in which that is news.
ACTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "accepted": ("handed", ("sent",)),
    "posted": ("delivered", ("sent", "handed")),
    "returned": ("returned", ("handed", "delivered")),
}
WAY = ("sent", "handed", "delivered", "returned")


class CannotBe(Exception):
    """What is reported of a letter cannot be so. `code` is one of: unknown_letter, several_letters, not_printed,
    not_posted, is_posted, in_future, too_early, not_a_working_day. `facts` are those that whoever corrects it must
    know."""

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass(frozen=True)
class Paper:
    """A letter to be printed: `lines` for the window, `body` the notice's documents by locale, as JSON.

    `commune` is the household's, for the post where the lines have no postal code.
    """

    id: UUID
    household_id: UUID
    token: str
    notice: str
    reference: str
    locale: str
    commune: str
    lines: str = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True)
class Tracked:
    """A letter and its last printing, held until the transaction ends."""

    message: Message
    printing: Attempt


def claim_letters(session: Session, vault: Vault, run: str, now: datetime, lease: timedelta,
                  limit: int, only: Collection[UUID] = ()) -> list[Paper]:
    """Take the letters that are due, or `only` these of them, into a printing run: those of the nearest day first.

    Those of a day go by commune, so that the runs of a day follow one another over the country as the post's tariff
    wants it. Of two that bear the same number one waits for the next, and so does a letter to a household of which
    another run prints one: the same PIN stands on both.
    """
    due = session.scalars(sa.select(Message.id).join(Household, Household.id == Message.household_id).where(
        *_due(now), Message.id.in_(only) if only else sa.true())
        .order_by(Message.lane, sa.func.date(Message.tell_by), Household.commune, Message.id).limit(limit)
        .with_for_update(of=[Message, Household], skip_locked=True, key_share=True)).all()
    # In a statement of its own: it sees what another run has taken since the first one began.
    in_hand = sa.select(Message.household_id).where(Message.state == "sending", Message.medium == "letter",
                                                    Message.household_id.is_not(None))
    rows = session.execute(sa.select(Message, Household.commune).join(
        Household, Household.id == Message.household_id).where(
        among(session, Message.id, due), Message.household_id.not_in(in_hand))).all()
    papers: dict[str, Paper] = {}
    for message, commune in rows:
        readable = opened(vault, message.id, message.to_sealed, message.body_sealed)
        if readable is None:
            message.not_before = now + PUT_ASIDE
        elif message.household_id and message.reference not in papers:
            message.state, message.fence, message.changed_at = "sending", message.fence + 1, now
            message.lease_until, message.run = now + lease, run
            session.add(Attempt(message_id=message.id, fence=message.fence, provider=POST, started_at=now))
            papers[message.reference] = Paper(message.id, message.household_id, message.token, message.notice,
                                              message.reference, message.locale, commune, *readable)
    return list(papers.values())


def letters_due(session: Session, now: datetime) -> int:
    """How many wait to be printed and may be by now."""
    return session.scalar(sa.select(sa.func.count()).select_from(Message).where(*_due(now))) or 0


def printed(session: Session, run: str, now: datetime, unprintable: Iterable[UUID] = ()) -> bool:
    """The sheets of this run lie in the tray; those that cannot be printed have failed.

    False when the run's lease ran out and its letters are another run's now.
    """
    held = [Message.run == run, Message.state == "sending"]
    failed = session.scalars(sa.update(Message).where(*held, Message.id.in_(list(unprintable)))
                             .values(state="failed", changed_at=now).returning(Message.id)).all()
    session.execute(sa.update(Attempt).where(Attempt.message_id.in_(failed), Attempt.provider == POST,
                                             Attempt.outcome.is_(None)).values(outcome="unprintable", ended_at=now))
    sent = session.scalars(sa.update(Message).where(*held).values(state="sent", changed_at=now)
                           .returning(Message.id)).all()
    return bool(failed or sent)


def run_state(session: Session, run: str) -> Literal["printed", "held", "lost"]:
    """Whether a run was printed and written down, is being printed, or was lost: `expire` has made it due again."""
    states = set(session.scalars(sa.select(Message.state).where(Message.run == run).distinct()))
    if states.intersection(WAY):
        return "printed"
    return "held" if "sending" in states else "lost"


def track(session: Session, references: Collection[str] = (), run: str | None = None) -> list[Tracked]:
    """The letters that bear one of these numbers, and those of this run. Two may bear the same number: nine digits
    are few for a country's letters."""
    wanted = Message.run == run if run else among(session, Message.reference, list(references))
    rows = session.execute(sa.select(Message, Attempt).outerjoin(Attempt, sa.and_(
        Attempt.message_id == Message.id, Attempt.fence == Message.fence)).where(
        Message.medium == "letter", wanted).order_by(Message.id)
        .with_for_update(of=Message).execution_options(populate_existing=True)).all()
    return [Tracked(message, printing or _begun(session, message)) for message, printing in rows]


def one_of(found: Sequence[Tracked], run: str | None = None) -> Tracked:
    """The one of this run. Of one that was printed and one that was not, somebody can only have seen the first.

    Raises `CannotBe`.
    """
    of_runs = [one for one in found if one.message.run] or found
    these = [one for one in of_runs if run in (None, one.message.run)]
    if not these:
        raise CannotBe("unknown_letter")
    if len(these) > 1:
        raise CannotBe("several_letters", runs=", ".join(sorted(str(one.message.run) for one in these)))
    return these[0]


def spoil(letter: Tracked, now: datetime) -> None:
    """The print house has ruined its sheet: that printing is over, and the letter due again. Raises `CannotBe`."""
    if letter.message.state not in WAY:
        raise CannotBe("not_printed")
    if letter.message.state not in ACTS["posted"][1]:
        raise CannotBe("is_posted")
    letter.printing.outcome, letter.printing.ended_at = "spoilt", now
    letter.message.state, letter.message.run = "created", None
    letter.message.not_before = letter.message.changed_at = now


def report(letter: Tracked, act: str, on: date, post: Post, now: datetime, reason: str | None = None) -> bool:
    """One of `ACTS` was done to this letter on this day. False when that, or more, is known already.

    A day once written down stays. Raises `CannotBe`.
    """
    stands, (state, starts) = letter.message.state, ACTS[act]
    if stands not in WAY:
        raise CannotBe("not_printed")
    if WAY.index(stands) >= WAY.index(state):
        return False
    if stands not in starts:
        raise CannotBe("not_posted")
    if on > day_of(now):
        raise CannotBe("in_future")
    _check_day(letter, act, on, post)
    _go_on(letter, act, datetime.combine(on, time(12), CASABLANCA), reason)
    return True


def posted(session: Session, run: str, at: datetime, post: Post | None = None) -> list[Settlement]:
    """The post has taken what was left of this run. Its day is compared with what the `post` can do, if that is given:
    raises `CannotBe`.
    """
    gone = [letter for letter in track(session, run=run) if letter.message.state in ACTS["posted"][1]]
    for letter in gone:
        if post:
            _check_day(letter, "posted", day_of(at), post)
        _go_on(letter, "posted", at)
    session.flush()
    return [settlement for letter in gone if (settlement := settlement_of(letter))]


def settlement_of(letter: Tracked) -> Settlement | None:
    """What somebody must hear of it, if it has come to an end."""
    return told(letter.message, letter.message.changed_at)


def told_a_stranger(session: Session, message_id: UUID, now: datetime) -> None:
    """This text was delivered, to somebody else: like a letter that came back, it told the household nothing."""
    move(session, message_id, "returned", now, only_from=("delivered",))


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (Message.medium == "letter", Message.household_id.is_not(None), Message.state == "created",
            Message.not_before <= now)


def _begun(session: Session, message: Message) -> Attempt:
    """One that was printed before printings were written down."""
    printing = Attempt(message_id=message.id, fence=message.fence, provider=POST, started_at=message.created_at)
    session.add(printing)
    return printing


def _go_on(letter: Tracked, act: str, at: datetime, reason: str | None = None) -> None:
    letter.message.state, letter.message.changed_at = ACTS[act][0], at
    letter.printing.outcome, letter.printing.ended_at, letter.printing.code = act, at, reason


def _check_day(letter: Tracked, act: str, on: date, post: Post) -> None:
    """A household's sixty days are counted from the day of posting: one that cannot be is not taken."""
    printing = letter.printing
    earliest = post.takes_on(printing.started_at) if act == "posted" else day_of(printing.started_at)
    if printing.ended_at:
        earliest = max(earliest, day_of(printing.ended_at))
    if on < earliest:
        raise CannotBe("too_early")
    if act == "posted" and not is_working_day(on):
        raise CannotBe("not_a_working_day")
