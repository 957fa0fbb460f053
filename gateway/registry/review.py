"""Review: a household contests its index, within 60 days of being told (seed text of the RSU, law 72-18)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry import score
from gateway.registry.events import ReviewAsked
from gateway.registry.numbers import new_number

WINDOW = timedelta(days=60)
# No text that could be read fixes the time for an answer; 30 days is the aid agency's own for appeals.
ANSWER_WITHIN = timedelta(days=30)
CASABLANCA = ZoneInfo("Africa/Casablanca")
CHANCE = secrets.SystemRandom()


class Review(Base):
    """One contest of one score. One a score: asking again finds the first."""

    __tablename__ = "review"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    score_id: Mapped[UUID] = mapped_column(sa.ForeignKey("index_score.id"), unique=True)
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    state: Mapped[str] = mapped_column(sa.String(16), default="asked")
    channel: Mapped[str] = mapped_column(sa.String(8))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer_by: Mapped[date]


@dataclass(frozen=True)
class Window:
    """Whether a review can be asked: `open`, `late`, `already` (see `review`) or `none` (not told yet)."""

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
    if current is None or told is None:
        return Window("none")
    asked = session.scalar(sa.select(Review).where(Review.score_id == current.id))
    last = last_day(told.notified_on)
    if asked:
        return Window("already", current.id, last, asked)
    return Window("open" if now.astimezone(CASABLANCA).date() <= last else "late", current.id, last)


def ask(session: Session, household_id: UUID, channel: str, now: datetime, chance: Random = CHANCE
        ) -> Window | ReviewAsked:
    """Ask for a review; where that cannot be, the `Window` says why. `chance` draws the number.

    What cannot be inserted was asked at the same moment by another call, or its number is taken: look again.
    """
    while (seen := window(session, household_id, now)).state == "open":
        review_id, number = new_id(), new_number("review", chance)
        answer_by = now.astimezone(CASABLANCA).date() + ANSWER_WITHIN
        if insert_new(session, Review, [{
                "id": review_id, "household_id": household_id, "score_id": seen.score_id, "number": number,
                "channel": channel, "asked_at": now, "answer_by": answer_by}]):
            return ReviewAsked(household_id, review_id, number, answer_by)
    return seen
