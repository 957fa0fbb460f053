"""Registration: where a household stands on the way from registering to being told, and the promise of ten days.

A household is told its index within 5 to 10 days of the day of registration (seed text of the RSU, law 72-18).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id
from gateway.registry.steps import Transitions

# The seed text of the RSU: the index is notified within 5 to 10 days of registration.
TOLD_WITHIN = timedelta(days=10)

TRANSITIONS: Transitions = {
    "pre_registered": frozenset({"registered", "withdrawn"}),
    "registered": frozenset({"verifying", "scored", "withdrawn", "struck_off"}),
    "verifying": frozenset({"scored", "withdrawn", "struck_off"}),
    "scored": frozenset({"notified", "withdrawn", "struck_off"}),
    "notified": frozenset({"withdrawn", "struck_off"}),
    "withdrawn": frozenset({"registered"}),
    "struck_off": frozenset({"registered"}),
}
STRUCK_OFF_FOR = ("fraud_confirmed", "individual_procedure", "multi_nucleus_procedure")


class Registration(Base):
    """One household's way. `number` stands on the slip. A pre-registered one has no household yet.

    `missing` are the positions of members who are not in the population register. Late is no state: it is a
    registration that has not been told by `registered_on` + `TOLD_WITHIN`.
    """

    __tablename__ = "registration"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("household.id"), unique=True)
    household_blind: Mapped[bytes] = mapped_column(unique=True)  # of the household's number
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    state: Mapped[str] = mapped_column(sa.String(16), index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    registered_on: Mapped[date] = mapped_column(index=True)
    missing: Mapped[list[int]] = mapped_column(JSON)
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    scored_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_on: Mapped[date | None]
    late_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Standing:
    """Where a household stands: a state, since when, what happens next and by when.

    `next_step` is a code with words in every language; `waits_for` the bodies that have not answered.
    """

    state: str
    since: date
    next_step: str
    by: date | None
    late: bool
    waits_for: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()


Late = Literal["verification", "telling"]
