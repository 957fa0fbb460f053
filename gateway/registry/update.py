"""Update: a household says that something has changed, and the register that owns it hears of it."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Base, UtcDateTime, new_id
from gateway.registry.steps import Transitions

# What has changed -> the register that owns it (official FAQ, alhoukouma.gov.ma/faq/page/8).
REGISTER_OF: dict[str, str] = {
    "phone": "rsu",
    "address": "rsu",
    "dwelling": "rsu",
    "spending": "rsu",
    "equipment": "rsu",
    "declarant": "rsu",
    "members": "population_register",
    "schooling": "aid_agency",
    "disability": "aid_agency",
    "health_cover": "cnss",
}
# waiting: a new number in its 72 hours. forwarded: the other register has it. refused: by the old number, or a clerk.
TRANSITIONS: Transitions = {
    "received": frozenset({"waiting", "forwarded", "in_person", "applied", "refused", "withdrawn"}),
    "waiting": frozenset({"applied", "refused", "withdrawn"}),
    "in_person": frozenset({"applied", "refused", "withdrawn"}),
    "forwarded": frozenset({"applied", "refused"}),
    "applied": frozenset(),
    "refused": frozenset(),
    "withdrawn": frozenset(),
}


class DataUpdate(Base):
    """One change that a household reported. `number` follows it. The new value is sealed."""

    __tablename__ = "data_update"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    register: Mapped[str] = mapped_column(sa.String(24))
    state: Mapped[str] = mapped_column(sa.String(12), index=True)
    channel: Mapped[str] = mapped_column(sa.String(8))
    asked_by: Mapped[str] = mapped_column(sa.String(120), unique=True)
    value_sealed: Mapped[bytes | None]
    value_blind: Mapped[bytes | None] = mapped_column(index=True)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    effective_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    score_id: Mapped[UUID | None]


class DataRound(Base):
    """The yearly question "are your data still right?" to one household."""

    __tablename__ = "data_round"
    __table_args__ = (sa.UniqueConstraint("household_id", "asked_on"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"))
    asked_on: Mapped[date]
    answer: Mapped[str | None] = mapped_column(sa.String(12))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
