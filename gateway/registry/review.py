"""Review: a household contests its index, within 60 days of being told (seed text of the RSU, law 72-18)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, new_id
from gateway.registry import score
from gateway.registry.events import ReviewAsked
from gateway.registry.numbers import new_number

WINDOW = timedelta(days=60)
# No text that could be read fixes the time for an answer; 30 days is the aid agency's own for appeals.
ANSWER_WITHIN = timedelta(days=30)
CASABLANCA = ZoneInfo("Africa/Casablanca")


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
        return Window("already", last, asked)
    return Window("open" if now.astimezone(CASABLANCA).date() <= last else "late", last)


def ask(session: Session, household_id: UUID, channel: str, now: datetime) -> Window | ReviewAsked:
    """Ask for a review; where that cannot be, the `Window` says why."""
    seen = window(session, household_id, now)
    current = score.latest(session, household_id)
    if seen.state != "open" or current is None:
        return seen
    review = Review(id=new_id(), household_id=household_id, score_id=current.id, channel=channel, asked_at=now,
                    number=new_number("review", secrets.SystemRandom()),
                    answer_by=now.astimezone(CASABLANCA).date() + ANSWER_WITHIN)
    session.add(review)
    session.flush()
    return ReviewAsked(household_id, review.id, review.number, review.answer_by)
