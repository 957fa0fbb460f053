"""Score: what was computed for a household, from what, and how each programme decided. Append-only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, Exact, UtcDateTime, insert_new, new_id


class IndexScore(Base):
    """One computation. `value` is None exactly when `failure` says why: a failed score is never a number."""

    __tablename__ = "index_score"
    __table_args__ = (sa.CheckConstraint("(value IS NULL) <> (failure IS NULL)", name="a_number_or_a_reason"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    formula: Mapped[str] = mapped_column(sa.String(40))
    formula_digest: Mapped[str] = mapped_column(sa.String(64))
    snapshot: Mapped[dict[str, Any]] = mapped_column(JSON)
    contributions: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    value: Mapped[Decimal | None] = mapped_column(Exact)
    failure: Mapped[str | None] = mapped_column(sa.String(200))
    cause: Mapped[str] = mapped_column(sa.String(24))
    predecessor_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("index_score.id"))
    computed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProgrammeDecision(Base):
    """How one programme judged one score, with the threshold that was in force and the reasons."""

    __tablename__ = "programme_decision"
    __table_args__ = (sa.UniqueConstraint("score_id", "programme"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    score_id: Mapped[UUID] = mapped_column(sa.ForeignKey("index_score.id"), index=True)
    programme: Mapped[str] = mapped_column(sa.String(40))
    threshold: Mapped[Decimal | None] = mapped_column(Exact)
    comparator: Mapped[str] = mapped_column(sa.String(16))
    below: Mapped[bool | None]
    eligible: Mapped[bool]
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    decided_on: Mapped[date]


class Notification(Base):
    """The day a household was told a score, and the proof. The 60 days of a review run from it.

    `proof` is `receipt` (the operator's delivery receipt) or `posting` (the post's record).
    """

    __tablename__ = "notification"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    score_id: Mapped[UUID] = mapped_column(sa.ForeignKey("index_score.id"), unique=True)
    medium: Mapped[str] = mapped_column(sa.String(8))
    notified_on: Mapped[date]
    proof: Mapped[str] = mapped_column(sa.String(16))
    message_id: Mapped[UUID]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


def latest(session: Session, household_id: UUID) -> IndexScore | None:
    """The household's last successful score."""
    return session.scalar(sa.select(IndexScore)
                          .where(IndexScore.household_id == household_id, IndexScore.value.is_not(None))
                          .order_by(IndexScore.computed_at.desc(), IndexScore.id.desc()).limit(1))


def decisions(session: Session, score_ids: Sequence[UUID]) -> dict[UUID, list[ProgrammeDecision]]:
    """How each programme judged each of these scores, the highest limit first."""
    judged: dict[UUID, list[ProgrammeDecision]] = {score_id: [] for score_id in score_ids}
    for decision in session.scalars(sa.select(ProgrammeDecision).where(ProgrammeDecision.score_id.in_(score_ids))):
        judged[decision.score_id].append(decision)
    for judgements in judged.values():
        judgements.sort(key=lambda decision: (-(decision.threshold or 0), decision.programme))
    return judged


def notified(session: Session, score_id: UUID) -> Notification | None:
    """When and how the household was told this score, or None."""
    return session.scalar(sa.select(Notification).where(Notification.score_id == score_id))


def record_notification(session: Session, *, household_id: UUID, score_id: UUID, medium: str, notified_on: date,
                        proof: str, message_id: UUID, now: datetime) -> None:
    """The first proof counts; a later one (a letter after a text) does not move the day."""
    insert_new(session, Notification, [{
        "id": new_id(), "household_id": household_id, "score_id": score_id, "medium": medium,
        "notified_on": notified_on, "proof": proof, "message_id": message_id, "recorded_at": now}])
