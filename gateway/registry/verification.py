"""Verification: which body is asked about which declared item, and what it answers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id

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
    """A question to one body about one household, open until every item of it has an answer."""

    __tablename__ = "inquiry"
    __table_args__ = (sa.Index("ix_inquiry_open", "household_id", "partner", unique=True,
                               postgresql_where=sa.text("answered_at IS NULL"),
                               sqlite_where=sa.text("answered_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    partner: Mapped[str] = mapped_column(sa.String(24))
    # What is still to be answered: items with the member's position, as in evidence.
    items: Mapped[list[str]] = mapped_column(JSON)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
