"""Data round: once a year a household is asked whether its data are still right.

Each household has its day (`Household.round_on`): the first one in the month that begins a year after its
declaration, then the same day each year. The month spreads those who declared together, so that the centres can serve
them. What was declared lately is not asked about. A score
proves nothing here: a new formula or a partner's answer is no word of the household.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry import audit, number_change, registration, update
from gateway.registry.clock import day_of
from gateway.registry.events import DataRoundDue, Event
from gateway.registry.household import Household
from gateway.registry.registration import Registration
from gateway.registry.scoring import Scorer
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

# A year less the month in which an answer to the last round may have come: else the next would be a year late.
FRESH = timedelta(days=335)
AT_ONCE = 1_000
NOT_ASKED = ("withdrawn", "struck_off")

Answer = Literal["right", "changed"]


class DataRound(Base):
    """The yearly question "are your data still right?" to one household."""

    __tablename__ = "data_round"
    __table_args__ = (sa.UniqueConstraint("household_id", "asked_on"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"))
    asked_on: Mapped[date]
    answer: Mapped[str | None] = mapped_column(sa.String(12))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def due(session: Session, vault: Vault, now: datetime, limit: int = AT_ONCE) -> list[Event]:
    """Ask the households whose day has come, at most `limit`, and give each its next day."""
    today = day_of(now)
    homes = session.execute(
        sa.select(Household.id, Household.round_on, Household.declared_on).where(Household.round_on <= today)
        .order_by(Household.round_on, Household.id).limit(limit)
        .with_for_update(skip_locked=True, key_share=True)).all()
    if not homes:
        return []
    left = set(session.scalars(sa.select(Registration.household_id).where(
        Registration.household_id.in_([home.id for home in homes]), Registration.state.in_(NOT_ASKED))))
    session.execute(sa.update(Household), [{"id": home.id, "round_on": _after(home.round_on, today)} for home in homes])
    rows = [{"id": new_id(), "household_id": home.id, "asked_on": today} for home in homes
            if home.id not in left and today - home.declared_on >= FRESH]
    asked = insert_new(session, DataRound, rows)
    audit.record(session, vault, "round.asked", by="system", now=now, asked=len(asked),
                 passed_over=len(homes) - len(asked))
    return [DataRoundDue(row["household_id"], today) for row in rows if row["id"] in asked]


def answer(session: Session, vault: Vault, scorer: Scorer, household_id: UUID, said: Answer, *, kind: str | None = None,
           channel: str, asked_by: str, by: str, now: datetime) -> list[Event]:
    """The household's answer to its last round. `right` has its index computed anew, at today's ages, and told even
    where nothing moved; but not while it is verified, or a new telephone number waits. `changed`, with the kind of
    change, opens an update.

    `right` may still become `changed`, not the other way round: what was said to have changed has its update.
    Raises `NotAllowed`.
    """
    last = session.scalar(sa.select(DataRound).where(DataRound.household_id == household_id)
                          .order_by(DataRound.asked_on.desc()).limit(1))
    if last is None:
        raise NotAllowed("This household has not been asked yet; what has changed is filed as an update.")
    if said == "changed" and kind is None:
        raise NotAllowed("Say what has changed; then it can be put right.")
    if last.answer == "changed" and said == "right":
        raise NotAllowed("The household has said that something has changed; its update is open, and can be withdrawn.")
    unanswered = sa.or_(DataRound.answer.is_(None), sa.literal(said == "changed") & (DataRound.answer == "right"))
    noted = session.scalar(sa.update(DataRound).where(DataRound.id == last.id, unanswered)
                           .values(answer=said, answered_at=now).returning(DataRound.id))
    if noted:
        audit.record(session, vault, "round.answered", by=by, now=now, household_id=household_id, subject=last.id,
                     answer=said, channel=channel)
    if kind is not None and said == "changed":
        return [update.file(session, vault, household_id, kind, channel=channel, asked_by=asked_by, by=by, now=now)]
    state = registration.states(session, [household_id]).get(household_id)
    if not noted or state not in ("scored", "notified") or number_change.frozen(session, household_id, now):
        return []
    home = session.get_one(Household, household_id)
    return scorer.score(session, [home], "yearly_verification", now, day_of(now)).events


def _after(day: date, today: date) -> date:
    """The same day of the next year that is still to come; after 29 February, the 28th from then on."""
    year = max(day.year + 1, today.year)
    following = _in(day, year)
    return following if following > today else _in(day, year + 1)


def _in(day: date, year: int) -> date:
    return day.replace(year=year, day=min(day.day, 28) if day.month == 2 else day.day)
