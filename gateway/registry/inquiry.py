"""Inquiry: a question to a body about a household, what of it is not answered yet, and how long answers take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, insert, new_id
from gateway.registry.clock import CASABLANCA, day_of
from gateway.registry.household import Household

# Who is asked about what (seed text of the RSU). An item of `members` is asked about each member.
PARTNERS: dict[str, tuple[str, ...]] = {
    "population_register": ("members.birth_date", "members.marital_status"),
    "water_electricity": ("spending.water_electricity", "dwelling.own_electricity_meter"),
    "telecom": ("spending.phone_internet", "equipment.mobile_phones", "equipment.fixed_telephone"),
    "road_safety": ("equipment.cars", "equipment.motorcycles"),
    "land_registry": ("property.secondary_dwelling", "property.garage", "property.professional_premises",
                      "property.non_agricultural_land", "property.irrigated_land"),
    "cnss": ("members.health_cover", "members.activity"),
}


class Inquiry(Base):
    """A question to one body about one household, open until every item of it has an answer.

    `items` are what is still to be answered, with the member's present position: `members.2.health_cover`.
    """

    __tablename__ = "inquiry"
    __table_args__ = (sa.Index("ix_inquiry_open", "household_id", "partner", unique=True,
                               postgresql_where=sa.text("answered_at IS NULL"),
                               sqlite_where=sa.text("answered_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    partner: Mapped[str] = mapped_column(sa.String(24))
    items: Mapped[list[str]] = mapped_column(JSON)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


@dataclass(frozen=True)
class Waiting:
    """How long a body took, in whole days from question to answer over all its answers; `open` are those it owes."""

    partner: str
    answered: int
    median_days: int | None
    p90_days: int | None
    open: int


def ask(session: Session, household_ids: Sequence[UUID], now: datetime) -> None:
    """Ask every body about all that it knows of these households. What was still open is asked anew, from today."""
    drop(session, household_ids)
    asked = [{"id": new_id(), "household_id": household_id, "partner": partner, "items": items, "asked_at": now}
             for household_id, facts in session.execute(
                 sa.select(Household.id, Household.facts).where(Household.id.in_(household_ids)))
             for partner, items in _questions(facts)]
    insert(session, Inquiry, asked)


def ask_about(session: Session, household_id: UUID, partner: str, item: str, now: datetime) -> None:
    """Ask one body about one item, in its open inquiry if there is one."""
    inquiry = opened(session, [household_id]).get((household_id, partner))
    if inquiry:
        inquiry.items = [*inquiry.items, item]
    else:
        session.add(Inquiry(household_id=household_id, partner=partner, items=[item], asked_at=now))
    session.flush()


def answered(inquiry: Inquiry, items: Iterable[str], now: datetime) -> None:
    """Take these items off; with the last one the inquiry ends."""
    taken = set(items)
    inquiry.items = [item for item in inquiry.items if item not in taken]
    inquiry.answered_at = None if inquiry.items else now


def opened(session: Session, household_ids: Sequence[UUID]) -> dict[tuple[UUID, str], Inquiry]:
    """The open inquiries about these households, by household and body."""
    found = session.scalars(sa.select(Inquiry).where(
        Inquiry.household_id.in_(household_ids), Inquiry.answered_at.is_(None))
        .order_by(Inquiry.partner).execution_options(populate_existing=True))
    return {(inquiry.household_id, inquiry.partner): inquiry for inquiry in found}


def waits_for(session: Session, household_ids: Sequence[UUID]) -> dict[UUID, tuple[str, ...]]:
    """The bodies that still owe an answer about each of these households."""
    waits: dict[UUID, tuple[str, ...]] = dict.fromkeys(household_ids, ())
    for household_id, partner in opened(session, household_ids):
        waits[household_id] += (partner,)
    return waits


def follow(session: Session, household_id: UUID, moved: Mapping[int, int]) -> None:
    """The members stand elsewhere in a new declaration: `moved` names the new position by the old one.

    About who has left there is nothing more to ask.
    """
    for inquiry in opened(session, [household_id]).values():
        inquiry.items = [item for item in (_moved(item, moved) for item in inquiry.items) if item]
        if not inquiry.items:
            session.delete(inquiry)
    session.flush()


def drop(session: Session, household_ids: Sequence[UUID]) -> None:
    """Nobody need answer any more about these households."""
    session.execute(sa.delete(Inquiry).where(Inquiry.household_id.in_(household_ids), Inquiry.answered_at.is_(None)))


def waiting_times(session: Session, first: date, last: date) -> list[Waiting]:
    """Each body's waiting times for what it answered from `first` to `last`, and what it owes now."""
    begin, end = (datetime.combine(day, time(), CASABLANCA) for day in (first, last + timedelta(days=1)))
    days: dict[str, Counter[int]] = {partner: Counter() for partner in PARTNERS}
    for partner, asked_at, answered_at in session.execute(
            sa.select(Inquiry.partner, Inquiry.asked_at, Inquiry.answered_at)
            .where(Inquiry.answered_at >= begin, Inquiry.answered_at < end)
            .execution_options(yield_per=1_000)):
        if answered_at:
            days[partner][(day_of(answered_at) - day_of(asked_at)).days] += 1
    owed = {partner: count for partner, count in session.execute(
        sa.select(Inquiry.partner, sa.func.count()).where(Inquiry.answered_at.is_(None)).group_by(Inquiry.partner))}
    return [Waiting(partner, taken.total(), _rank(taken, 50), _rank(taken, 90), owed.get(partner, 0))
            for partner, taken in days.items()]


def _rank(taken: Counter[int], percent: int) -> int | None:
    """The nearest-rank percentile: a number of days that some answer really took."""
    rank = -(-taken.total() * percent // 100)
    for days in sorted(taken):
        rank -= taken[days]
        if rank <= 0:
            return days
    return None


def _questions(facts: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What each body is asked about this household, member by member."""
    positions = range(1, len(facts["members"]) + 1)
    for partner, items in PARTNERS.items():
        questions = []
        for item in items:
            section, _, name = item.partition(".")
            questions += [f"members.{position}.{name}" for position in positions] if section == "members" else [item]
        yield partner, questions


def _moved(item: str, moved: Mapping[int, int]) -> str | None:
    if not item.startswith("members."):
        return item
    _, position, name = item.split(".")
    return f"members.{moved[int(position)]}.{name}" if int(position) in moved else None
