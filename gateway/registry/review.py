"""Review: a household contests its index, within 60 days of being told (seed text of the RSU, law 72-18)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, insert_new, new_id
from gateway.registry import score
from gateway.registry.clock import day_of
from gateway.registry.events import ReviewAsked
from gateway.registry.numbers import new_number
from gateway.registry.steps import Transitions

WINDOW = timedelta(days=60)
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


class Review(Base):
    """One contest of one score; a withdrawn one may be asked again.

    `items` are what is contested: each an item of `evidence` and the source it came from. `answer_by` is the day
    promised first; `outcome` is accepted or refused, with a reason from a list and a sealed text.
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
    channel: Mapped[str] = mapped_column(sa.String(8))
    asked_by: Mapped[str] = mapped_column(sa.String(64))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer_by: Mapped[date]
    items: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    assigned_to: Mapped[str | None] = mapped_column(sa.String(80))
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
    """Whether a review can be asked: `open`, `late`, `already` (see `review`) or `none` (there is no index).

    While there is no proof that the household was told, the sixty days have not begun: `last_day` is then what
    it would be if today were the day.
    """

    state: Literal["open", "late", "already", "none"]
    score_id: UUID | None = None
    last_day: date | None = None
    review: Review | None = None


def last_day(notified_on: date) -> date:
    """The 60th day after the day of notification, included until midnight in Casablanca."""
    return notified_on + WINDOW


def window(session: Session, household_id: UUID, now: datetime) -> Window:
    """What this household may still do about its present index."""
    current = score.latest(session, household_id)
    told = score.notified(session, current.id) if current else None
    if current is None:
        return Window("none")
    asked = session.scalar(sa.select(Review).where(Review.score_id == current.id, Review.state != "withdrawn"))
    last = last_day(told.notified_on if told else day_of(now))
    if asked:
        return Window("already", current.id, last, asked)
    return Window("open" if day_of(now) <= last else "late", current.id, last)


def ask(session: Session, household_id: UUID, *, channel: str, asked_by: str, answer_within: timedelta,
        now: datetime, chance: Random = CHANCE) -> Window | ReviewAsked:
    """Ask for a review; where that cannot be, the `Window` says why. `chance` draws the number.

    `asked_by` names the session: asked again in it, the answer is the same again.

    What cannot be inserted was asked at the same moment by another call, or its number is taken: look again.
    """
    while (seen := window(session, household_id, now)).state == "open":
        review_id, number = new_id(), new_number("review", chance)
        answer_by = day_of(now) + answer_within
        if insert_new(session, Review, [{
                "id": review_id, "household_id": household_id, "score_id": seen.score_id, "number": number,
                "channel": channel, "asked_by": asked_by, "asked_at": now, "answer_by": answer_by, "items": []}]):
            return ReviewAsked(household_id, review_id, number, answer_by)
    if seen.review and seen.review.asked_by == asked_by:
        return ReviewAsked(household_id, seen.review.id, seen.review.number, seen.review.answer_by)
    return seen
