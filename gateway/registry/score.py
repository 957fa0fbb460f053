"""Score: what was computed for a household, from what, and how each programme decided. Append-only.

Nothing here is ever changed or removed (the database refuses it): a new computation is a new row that names the
one before. Only `current_score` and `measured` move: they point at what counts now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from gateway.db import JSON, Base, Exact, UtcDateTime, among, insert_new, new_id

# Why a score was computed.
CAUSES = ("registration", "partner_correction", "data_update", "review", "formula_change", "yearly_verification")
# The lock of PostgreSQL under which scores move.
MOVING = 2_21_582


class FormulaVersion(Base):
    """A formula that was computed with: its whole content, kept for as long as its scores are.

    A file of the same id whose digest differs has been edited after use, and is refused.
    """

    __tablename__ = "formula_version"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    first_used_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Snapshot(Base):
    """All that a household's index is made of, as it counted at one moment: several scores may share one.

    `facts` are the effective ones, `sources` says for each corrected item by whom and when (see `evidence`);
    ages are those of the day `taken_on`.
    """

    __tablename__ = "snapshot"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    taken_on: Mapped[date]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    sources: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IndexScore(Base):
    """One computation. `value` is None exactly when `failure` says why: a failed score is never a number.

    `contributions` are the amounts of the sum, packed (`index.pack`): the area's constant, the region's, then the
    terms in the formula's order. `displayed` is the value as it is told. There are no foreign keys: five million
    rows come in one night, and nothing is ever removed.
    """

    __tablename__ = "index_score"
    __table_args__ = (sa.CheckConstraint("(value IS NULL) <> (failure IS NULL)", name="a_number_or_a_reason"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(index=True)
    snapshot_id: Mapped[UUID]
    formula: Mapped[str] = mapped_column(sa.String(40))
    contributions: Mapped[bytes]
    value: Mapped[Decimal | None] = mapped_column(Exact)
    displayed: Mapped[Decimal | None] = mapped_column(Exact)
    failure: Mapped[str | None] = mapped_column(sa.String(200))
    cause: Mapped[str] = mapped_column(sa.String(24))
    predecessor_id: Mapped[UUID | None]
    computed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CurrentScore(Base):
    """Which score of a household counts now: its last successful one. Narrow, for five million are read at once.

    Half of each page is left free, so that a run which moves them all rewrites each where it lies.
    """

    __tablename__ = "current_score"
    __table_args__ = ({"postgresql_with": {"fillfactor": 45}},)

    id: Mapped[UUID] = mapped_column(primary_key=True)  # the household's
    score_id: Mapped[UUID]
    snapshot_id: Mapped[UUID]
    value: Mapped[Decimal] = mapped_column(Exact)


class Measured(Base):
    """A household's measures of its last snapshot, packed (`vector.pack`): what a whole-registry run reads.

    `area` is 0 for urban and 1 for rural.
    """

    __tablename__ = "measured"

    id: Mapped[UUID] = mapped_column(primary_key=True)  # the household's
    snapshot_id: Mapped[UUID]
    area: Mapped[int] = mapped_column(sa.SmallInteger)
    region: Mapped[int] = mapped_column(sa.SmallInteger)
    counts: Mapped[bytes]


class ProgrammeDecision(Base):
    """How a programme judged the index of a score and the facts of a snapshot. A new row only when the judgement,
    its limit or its reasons changed.

    `threshold_since` and `programme_digest` are the versions it was judged with; reasons are codes.
    """

    __tablename__ = "programme_decision"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(index=True)
    score_id: Mapped[UUID]
    snapshot_id: Mapped[UUID]
    programme: Mapped[str] = mapped_column(sa.String(40))
    programme_digest: Mapped[str] = mapped_column(sa.String(64))
    threshold: Mapped[Decimal | None] = mapped_column(Exact)
    threshold_since: Mapped[date | None]
    comparator: Mapped[str] = mapped_column(sa.String(16))
    below: Mapped[bool | None]
    eligible: Mapped[bool | None]
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    decided_on: Mapped[date]
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Notification(Base):
    """The day a household was told a score, and the proof. The 60 days of a review run from it.

    `proof` is `receipt` (the operator's delivery receipt), `posting` (the post's record) or `handed_over` (a letter
    that could not be brought was given to it at its centre). `reminded_at` is when the end of the sixty days came
    near: the household was reminded, unless it had asked already or has another index.
    """

    __tablename__ = "notification"
    __table_args__ = (
        sa.Index(
            "ix_notification_to_remind",
            "notified_on",
            postgresql_where=sa.text("reminded_at IS NULL"),
            sqlite_where=sa.text("reminded_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    score_id: Mapped[UUID] = mapped_column(unique=True)
    medium: Mapped[str] = mapped_column(sa.String(8))
    notified_on: Mapped[date]
    proof: Mapped[str] = mapped_column(sa.String(16))
    message_id: Mapped[UUID]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Told:
    """That a household was told a score, as `Notification` keeps it."""

    household_id: UUID
    score_id: UUID
    medium: str
    notified_on: date
    proof: str
    message_id: UUID


class PendingEvent(Base):
    """An event of a whole-registry run that nobody has told yet: five million are not held in memory.

    `kind` names a class of `events`; `subject_id` is its score, or its decision.
    """

    __tablename__ = "pending_event"
    __table_args__ = (sa.Index("ix_pending_event_untold", "id", postgresql_where=sa.text("told_at IS NULL"),
                               sqlite_where=sa.text("told_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(sa.String(40))
    household_id: Mapped[UUID]
    subject_id: Mapped[UUID]
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# Asked on every call: made once, since making a statement costs more than the database's answer to it.
_THIS, _FORMER = aliased(IndexScore), aliased(IndexScore)
_ALIKE = (_THIS.displayed == _FORMER.displayed, _THIS.cause != "yearly_verification")
TOLD = sa.select(Notification).where(Notification.score_id == sa.bindparam("score_id"))
ALIKE_BEFORE = sa.select(_FORMER.id).join(_THIS, _THIS.predecessor_id == _FORMER.id).where(
    _THIS.id == sa.bindparam("score_id"), *_ALIKE)

CURRENTS = (sa.select(IndexScore).join(CurrentScore, CurrentScore.score_id == IndexScore.id)
            .where(CurrentScore.id.in_(sa.bindparam("households", expanding=True))))
# By id, which is made under the lock: whoever waited for it decides last with an earlier `decided_at`.
DECISIONS = (sa.select(ProgrammeDecision)
             .where(ProgrammeDecision.household_id.in_(sa.bindparam("households", expanding=True)))
             .order_by(ProgrammeDecision.id))


def hold(session: Session, *, alone: bool = False) -> None:
    """Until the transaction ends no whole-registry run moves a score; with `alone`, which is that run, nobody does.

    So no score is made after one that is just being replaced. SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        take = sa.func.pg_advisory_xact_lock if alone else sa.func.pg_advisory_xact_lock_shared
        session.execute(sa.select(take(MOVING)))


def latest(session: Session, household_id: UUID) -> IndexScore | None:
    """The score that counts for this household now, or None while it has none."""
    return currents(session, [household_id]).get(household_id)


def currents(session: Session, household_ids: Iterable[UUID]) -> dict[UUID, IndexScore]:
    """The scores that count now, by household."""
    found = session.scalars(CURRENTS, {"households": list(household_ids)})
    return {score.household_id: score for score in found}


def decisions(session: Session, household_ids: Sequence[UUID]) -> dict[UUID, list[ProgrammeDecision]]:
    """How each programme judges these households now, the highest limit first."""
    judged: dict[UUID, dict[str, ProgrammeDecision]] = {household_id: {} for household_id in household_ids}
    for decision in session.scalars(DECISIONS, {"households": list(household_ids)}):
        judged[decision.household_id][decision.programme] = decision
    return {household_id: sorted(by_name.values(), key=lambda one: (-(one.threshold or 0), one.programme))
            for household_id, by_name in judged.items()}


def unnotified(session: Session, household_ids: Iterable[UUID]) -> list[UUID]:
    """Those of these households that were not told, by a proof of its own, the score that counts now."""
    return list(session.scalars(sa.select(CurrentScore.id).outerjoin(
        Notification, Notification.score_id == CurrentScore.score_id).where(
        among(session, CurrentScore.id, list(household_ids)), Notification.id.is_(None))))


def all_notified(session: Session, score_ids: Collection[UUID]) -> dict[UUID, Notification]:
    """Those of these scores that the household was told, each with how (see `notified`)."""
    if not score_ids:
        return {}
    found = {one.score_id: one for one in session.scalars(sa.select(Notification).where(
        among(session, Notification.score_id, list(score_ids))))}
    rest = [score_id for score_id in score_ids if score_id not in found]
    alike = {this: former for this, former in session.execute(sa.select(_THIS.id, _FORMER.id).join(
        _FORMER, _THIS.predecessor_id == _FORMER.id).where(among(session, _THIS.id, rest), *_ALIKE))} if rest else {}
    before = all_notified(session, set(alike.values()))
    return found | {this: before[former] for this, former in alike.items() if former in before}


def notified(session: Session, score_id: UUID) -> Notification | None:
    """When and how the household was told this score, or None.

    A score that is displayed as the one before it was told with that one: there was nothing to tell anew.
    """
    found = session.scalar(TOLD, {"score_id": score_id})
    if found is not None:
        return found
    alike = session.scalar(ALIKE_BEFORE, {"score_id": score_id})
    return notified(session, alike) if alike else None


def forget_notifications(session: Session, message_id: UUID) -> bool:
    """This message proves nothing: it came back, or went to a stranger. The sixty days have not begun."""
    gone = session.execute(sa.delete(Notification).where(Notification.message_id == message_id))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def record_notification(session: Session, *, household_id: UUID, score_id: UUID, medium: str, notified_on: date,
                        proof: str, message_id: UUID, now: datetime) -> None:
    """The first proof counts; a later one (a letter after a text) does not move the day."""
    record_notifications(session, [Told(household_id, score_id, medium, notified_on, proof, message_id)], now)


def record_notifications(session: Session, told: Iterable[Told], now: datetime) -> None:
    """The first proof of each score counts."""
    insert_new(session, Notification, [{"id": new_id(), "recorded_at": now, **vars(one)} for one in told])
