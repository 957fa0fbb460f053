"""Evidence: what counts of a household's facts. The operator's correction, else the partner's, else the declaration.

An item is a path into the facts: `equipment.cars`, or `members.2.health_cover` (positions count from 1). In the
tables a member is named by the blind index of the identifier, since positions change with a new declaration.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id
from gateway.registry.clock import day_of
from gateway.registry.household import Household, Member

Facts = dict[str, Any]


class Finding(Base):
    """What a partner body said of one item, kept as it came. `value` counts when `outcome` is corrected.

    Of several about one item, that of the latest `answered_on` counts; `unknown` never overturns another.
    """

    __tablename__ = "finding"
    __table_args__ = (sa.UniqueConstraint("household_id", "partner", "item", "member_blind", "answered_on", "reference",
                                          name="uq_finding_answer"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    partner: Mapped[str] = mapped_column(sa.String(24))
    item: Mapped[str] = mapped_column(sa.String(48))  # members.health_cover: the member is in member_blind
    member_blind: Mapped[bytes]  # b"" for an item of the whole household
    outcome: Mapped[str] = mapped_column(sa.String(12))  # confirmed, corrected, unknown
    value: Mapped[Any] = mapped_column(JSON)
    answered_on: Mapped[date]
    reference: Mapped[str] = mapped_column(sa.String(80))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    contested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Correction(Base):
    """What a clerk put right, by a review or a data update; it counts over every partner. The last one counts."""

    __tablename__ = "correction"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    item: Mapped[str] = mapped_column(sa.String(48))
    member_blind: Mapped[bytes]
    value: Mapped[Any] = mapped_column(JSON)
    entered_by: Mapped[str] = mapped_column(sa.String(80))
    reason: Mapped[str] = mapped_column(sa.String(200))
    review_id: Mapped[UUID | None] = mapped_column(index=True)
    # A correction of a review counts from its decision on; one that was refused never counts.
    in_force_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Evidence:
    """The facts that count for one household. `sources` names, for each corrected item, who and when.

    `sources["*"]` is the declaration; every other key is an item with `by` (a partner, or `operator`), `on`
    (ISO date) and `reference`.
    """

    facts: Facts = field(repr=False)
    sources: dict[str, dict[str, str]]


def effective(session: Session, homes: Sequence[Household]) -> dict[UUID, Evidence]:
    """What counts now for these households."""
    ids = [home.id for home in homes]
    positions = {(member.household_id, member.idcs_blind): member.position for member in session.scalars(
        sa.select(Member).where(Member.household_id.in_(ids)))}
    found = {home.id: Evidence(copy.deepcopy(home.facts), {"*": {"by": "declaration", "on": str(home.declared_on)}})
             for home in homes}
    for finding in session.scalars(sa.select(Finding).where(
            Finding.household_id.in_(ids), Finding.outcome != "unknown")
            .order_by(Finding.answered_on, Finding.reference, Finding.id)):
        item = _placed(finding, positions)
        one = found[finding.household_id]
        if item and finding.outcome == "corrected":
            one.sources[item] = {"by": finding.partner, "on": str(finding.answered_on),
                                 "reference": finding.reference}
            _set(one.facts, item, finding.value)
        elif item and item in one.sources:
            # The same body has taken its correction back: the declaration counts again.
            del one.sources[item]
            _set(one.facts, item, read(next(home for home in homes if home.id == finding.household_id).facts, item))
    for correction in session.scalars(sa.select(Correction).where(
            Correction.household_id.in_(ids), Correction.in_force_at.is_not(None))
            .order_by(Correction.in_force_at, Correction.id)):
        item = _placed(correction, positions)
        if item and correction.in_force_at:
            one = found[correction.household_id]
            one.sources[item] = {"by": "operator", "on": str(day_of(correction.in_force_at)),
                                 "reference": str(correction.id)}
            _set(one.facts, item, correction.value)
    return found


def read(facts: Facts, item: str) -> Any:
    """The value at `equipment.cars` or `members.2.health_cover`. Raises `KeyError` when there is none."""
    value: Any = facts
    for step in item.split("."):
        try:
            value = value[int(step) - 1] if isinstance(value, list) else value[step]
        except (IndexError, ValueError, TypeError):
            raise KeyError(item) from None
    return value


def _set(facts: Facts, item: str, value: Any) -> None:
    """A member or section that is not there any more takes no value."""
    path, _, last = item.rpartition(".")
    try:
        read(facts, path)[last] = value
    except KeyError:
        return


def _placed(row: Finding | Correction, positions: dict[tuple[UUID, bytes], int]) -> str | None:
    """The item with the member's present position; None for a member who has left."""
    if not row.member_blind:
        return row.item
    position = positions.get((row.household_id, row.member_blind))
    return row.item.replace("members.", f"members.{position}.", 1) if position else None
