"""Review: a household contests its index, within 60 days of being told (seed text of the RSU, law 72-18).

Here is what the household does: ask, follow, withdraw. The clerks' part is `review_desk`, the hours `review_clock`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, insert_new, new_id
from gateway.registry import audit, items, registration, score
from gateway.registry.clock import day_of
from gateway.registry.events import ReviewAsked
from gateway.registry.household import Household
from gateway.registry.numbers import new_number
from gateway.registry.steps import NotAllowed, Transitions, step
from gateway.vault import Vault

WINDOW = timedelta(days=60)
A_DAY = timedelta(days=1)
# Of the time for the answer, what is left when a review is at risk: a fifth.
AT_RISK_LEFT = 5
CHANCE = secrets.SystemRandom()

# acknowledged: the number was told. needs_information: the household must bring something by a day.
TRANSITIONS: Transitions = {
    "asked": frozenset({"acknowledged", "withdrawn"}),
    "acknowledged": frozenset({"assigned", "withdrawn"}),
    "assigned": frozenset({"assigned", "needs_information", "decided", "withdrawn"}),
    "needs_information": frozenset({"assigned", "withdrawn"}),
    "decided": frozenset({"notified"}),
    "notified": frozenset(),
    "withdrawn": frozenset(),
}
# What the household is told comes next (templates/words/reviews.*.toml words it).
NEXT_STEPS = ("wait", "bring", "late", "answer_coming", "answered", "ask_again", "closed")


class Review(Base):
    """One contest of one score; a withdrawn one may be asked again.

    `items` are what is contested (`items.Kept`), none of them the index as a whole. `answer_by` is the day promised
    first and never moves; `promised_by` is what stands now: the time in which the household had to bring something
    does not count, and a broken promise is followed by a new one. `watch_on` is the day on which the clock must look
    at it again. `outcome` is accepted or refused, with a reason from a list and a sealed text (`review.text`).
    """

    __tablename__ = "review"
    __table_args__ = (sa.Index("ix_review_open", "score_id", unique=True,
                               postgresql_where=sa.text("state <> 'withdrawn'"),
                               sqlite_where=sa.text("state <> 'withdrawn'")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    score_id: Mapped[UUID] = mapped_column(index=True)
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    state: Mapped[str] = mapped_column(sa.String(20), default="asked", index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    channel: Mapped[str] = mapped_column(sa.String(8))
    asked_by: Mapped[str] = mapped_column(sa.String(64))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer_by: Mapped[date]
    promised_by: Mapped[date]
    watch_on: Mapped[date | None] = mapped_column(index=True)
    items: Mapped[list[items.Kept]] = mapped_column(JSON, default=list)
    assigned_to: Mapped[str | None] = mapped_column(sa.String(80))
    needs: Mapped[str | None] = mapped_column(sa.String(24))
    needed_by: Mapped[date | None]
    outcome: Mapped[str | None] = mapped_column(sa.String(12))
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    text_sealed: Mapped[bytes | None]
    decided_by: Mapped[str | None] = mapped_column(sa.String(80))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    new_score_id: Mapped[UUID | None]
    notified_on: Mapped[date | None]
    at_risk_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    late_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Window:
    """Whether a review can be asked: `open`, `late`, `already` (see `review`), or `none`.

    There is `none` where the household has no index, or is out of the register.

    While there is no proof that the household was told, the sixty days have not begun: `last_day` is then what
    it would be if today were the day. Who is `late` may still file a data update or a complaint.
    """

    state: Literal["open", "late", "already", "none"]
    score_id: UUID | None = None
    last_day: date | None = None
    review: Review | None = None


@dataclass(frozen=True)
class Standing:
    """Where a review stands, for whoever follows its number. It does not tell how it was decided.

    `next_step` is one of `NEXT_STEPS`. `answer_by` is the day promised now, None when no day can be named. `needs` and
    `needed_by` are what to bring and by when, while that is waited for.
    """

    state: str
    on: date
    next_step: str
    answer_by: date | None
    needs: str | None = None
    needed_by: date | None = None


def last_day(notified_on: date) -> date:
    """The 60th day after the day of notification, included until midnight in Casablanca."""
    return notified_on + WINDOW


def window(session: Session, household_id: UUID, now: datetime, day: date | None = None) -> Window:
    """What this household may still do about its present index, or might have done on a `day` before."""
    if registration.standing_out(session, [household_id]):
        return Window("none")
    current = score.latest(session, household_id)
    told = score.notified(session, current.id) if current else None
    if current is None:
        return Window("none")
    asked = session.scalar(sa.select(Review).where(Review.score_id == current.id, Review.state != "withdrawn"))
    day = day or day_of(now)
    last = last_day(told.notified_on if told else day)
    if asked:
        return Window("already", current.id, last, asked)
    return Window("open" if day <= last else "late", current.id, last)


def ask(session: Session, vault: Vault, household_id: UUID, *, channel: str, asked_by: str, answer_within: timedelta,
        now: datetime, contested: Sequence[str] = (), by: str = "household", chance: Random = CHANCE,
        sent_on: date | None = None) -> Window | ReviewAsked:
    """Ask for a review, which is acknowledged at once; where that cannot be, the `Window` says why.

    `contested` are items of the household's evidence, as `equipment.cars`; none of them contests the index as a whole.
    `asked_by` names the session: asked again in it, the answer is the same again. `chance` draws the number. What came
    by post is in time if it was `sent_on` a day that is, and is answered as if it were asked for now. Raises
    `NotAllowed` for an item that the household does not have.

    What cannot be inserted was asked at the same moment by another call, or its number is taken: look again.
    """
    while (seen := window(session, household_id, now, sent_on)).state == "open":
        home = session.get_one(Household, household_id)
        review_id, number, answer_by = new_id(), new_number("review", chance), day_of(now) + answer_within
        if insert_new(session, Review, [{
                "id": review_id, "household_id": household_id, "score_id": seen.score_id, "number": number,
                "channel": channel, "asked_by": asked_by, "asked_at": now, "since": now, "answer_by": answer_by,
                "promised_by": answer_by, "items": items.keep(session, home, contested) if contested else []}]):
            asked = session.get_one(Review, review_id)
            record(session, vault, asked, "asked", by=by, now=now, items=[item["item"] for item in asked.items])
            move(session, vault, asked, "acknowledged", "acknowledged", by="system", now=now, watch_on=watched(asked))
            return ReviewAsked(household_id, review_id, number, answer_by)
    if seen.review and seen.review.asked_by == asked_by:
        return ReviewAsked(household_id, seen.review.id, seen.review.number, seen.review.answer_by)
    return seen


def withdraw(session: Session, vault: Vault, review_id: UUID, *, now: datetime, by: str = "household") -> None:
    """The household does not want it any more. Within the sixty days it may ask again. Raises `NotAllowed`."""
    move(session, vault, hold(session, review_id), "withdrawn", "withdrawn", by=by, now=now, watch_on=None)


def state_of(session: Session, number: str, now: datetime) -> Standing | None:
    """Where the review of this number stands, and what comes next; None when there is none."""
    found = session.scalar(sa.select(Review).where(Review.number == number))
    if found is None:
        return None
    promised = found.promised_by + waited(found, day_of(now))
    next_step = _next_step(session, found, promised, now)
    waits = found.state == "needs_information"
    by = promised if next_step in ("wait", "bring", "late") and day_of(now) <= promised else None
    return Standing(found.state, day_of(found.since), next_step, by, found.needs if waits else None,
                    found.needed_by if waits else None)


def by_number(session: Session, number: str) -> Review:
    """Raises `NotAllowed` when no review has this number."""
    found = session.scalar(sa.select(Review).where(Review.number == number))
    if found is None:
        raise NotAllowed("There is no review of this number.")
    return found


# What all verbs on a review share


def hold(session: Session, review_id: UUID) -> Review:
    """The review as it stands, held until the transaction ends: of two clerks at once the second one waits."""
    found = session.scalar(sa.select(Review).where(Review.id == review_id).with_for_update()
                           .execution_options(populate_existing=True))
    if found is None:
        raise NotAllowed("There is no such review.")
    return found


def move(session: Session, vault: Vault, held: Review, to: str, act: str, *, by: str, now: datetime,
         why: str | None = None, **values: Any) -> Review:
    """One step along `TRANSITIONS`, written into the audit as `review.<act>`. Raises `NotAllowed`."""
    moved = step(session, Review, held.id, to, TRANSITIONS, **{"since": now, **values})
    record(session, vault, moved, act, by=by, now=now, why=why)
    return moved


def record(session: Session, vault: Vault, row: Review, act: str, *, by: str, now: datetime, why: str | None = None,
           **detail: Any) -> None:
    """Write into the audit what was done to this review."""
    audit.record(session, vault, f"review.{act}", by=by, now=now, household_id=row.household_id, subject=row.id,
                 why=why, **detail)


def resume(session: Session, vault: Vault, held: Review, act: str, *, by: str, now: datetime) -> Review:
    """The review goes on after waiting for the household; the promised day moves by the days that it waited."""
    promised_by = held.promised_by + waited(held, day_of(now))
    return move(session, vault, held, "assigned", act, by=by, now=now, promised_by=promised_by,
                watch_on=watched(held, promised_by))


def waited(row: Review, today: date) -> timedelta:
    """How long this review has waited for the household: whole days, none of them after the day `needed_by`."""
    if row.state != "needs_information" or row.needed_by is None:
        return timedelta(0)
    return min(today, row.needed_by + A_DAY) - day_of(row.since)


def watched(row: Review, promised_by: date | None = None) -> date:
    """The day on which the clock must look at this review while it is worked on.

    At 80 % of its time; once it is at risk, when the promise that stands now is broken, be it the first or the next.
    """
    promised_by = promised_by or row.promised_by
    if row.at_risk_at:
        return promised_by + A_DAY
    return promised_by - timedelta(days=(row.answer_by - day_of(row.asked_at)).days // AT_RISK_LEFT)


def _next_step(session: Session, row: Review, promised: date, now: datetime) -> str:
    if row.state == "withdrawn":
        again = window(session, row.household_id, now)
        return "ask_again" if (again.state, again.score_id) == ("open", row.score_id) else "closed"
    fixed = {"needs_information": "bring", "decided": "answer_coming", "notified": "answered"}
    return fixed.get(row.state, "late" if row.late_at or promised < day_of(now) else "wait")
