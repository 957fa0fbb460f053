"""Evidence: what counts of a household's facts. The operator's correction, else the partner's, else the declaration.

An item is a path into the facts: `equipment.cars`, or `members.2.health_cover` (positions count from 1). In the
tables a member is named by the blind index of the identifier, since positions change with a new declaration.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
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
Places = Mapping[tuple[UUID, bytes], int]


class Finding(Base):
    """What a partner body said of one item, kept as it came. `value` counts when `outcome` is corrected.

    `said` is the digest of outcome and value: one reference that says two things has two rows, and no repeat has.
    """

    __tablename__ = "finding"
    __table_args__ = (sa.UniqueConstraint("household_id", "partner", "item", "member_blind", "answered_on", "reference",
                                          "said", name="uq_finding_answer"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    partner: Mapped[str] = mapped_column(sa.String(24))
    item: Mapped[str] = mapped_column(sa.String(48))  # members.health_cover: the member is in member_blind
    member_blind: Mapped[bytes]  # b"" for an item of the whole household
    outcome: Mapped[str] = mapped_column(sa.String(12))  # confirmed, corrected, unknown
    value: Mapped[Any] = mapped_column(JSON)
    answered_on: Mapped[date]
    reference: Mapped[str] = mapped_column(sa.String(80))
    said: Mapped[str] = mapped_column(sa.String(64))
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
    (ISO date) and `reference`: the id of the finding or correction. The body's own words may name a person, and
    what stands in a snapshot can never be taken away.
    """

    facts: Facts = field(repr=False)
    sources: dict[str, dict[str, str]]


def effective(session: Session, homes: Sequence[Household]) -> dict[UUID, Evidence]:
    """What counts now for these households. Changing it changes nothing that is stored."""
    ids = [home.id for home in homes]
    places = positions(session, ids)
    found = {home.id: Evidence(copy.deepcopy(home.facts), {"*": {"by": "declaration", "on": str(home.declared_on)}})
             for home in homes}
    words = last_words(session, ids)
    for finding in words.values():
        if finding.outcome == "corrected":
            _correct(found[finding.household_id], finding, places, by=finding.partner,
                     on=str(finding.answered_on), reference=str(finding.id))
    for key, correction in _last_corrections(session, ids).items():
        on, word = day_of(correction.in_force_at or correction.entered_at), words.get(key)
        # What one clerk changed at the household's word gives way to what a body says later; a review does not.
        if correction.review_id or word is None or word.answered_on <= on:
            _correct(found[correction.household_id], correction, places, by="operator", on=str(on),
                     reference=str(correction.id))
    return found


def _last_corrections(session: Session, household_ids: Sequence[UUID]) -> dict[tuple[UUID, str, bytes], Correction]:
    """The correction that counts for each item, by household, item and member."""
    return {(one.household_id, one.item, one.member_blind): one for one in session.scalars(sa.select(Correction).where(
        Correction.household_id.in_(household_ids), Correction.in_force_at.is_not(None))
        .order_by(Correction.in_force_at, Correction.id))}


def last_words(session: Session, household_ids: Sequence[UUID]) -> dict[tuple[UUID, str, bytes], Finding]:
    """The finding that counts for each item, by household, item and member. It may confirm: then the declaration does.

    It is that of the latest day, then of the greater reference (`_natural`). `unknown` overturns nothing. Where one
    reference says two things on one day, a confirmation goes before a correction: no household loses by a body's
    contradiction.
    In what order answers came does not matter.
    """
    findings = session.scalars(sa.select(Finding).where(
        Finding.household_id.in_(household_ids), Finding.outcome != "unknown"))
    rising = sorted(findings, key=lambda one: (
        one.answered_on, _natural(one.reference), one.outcome == "confirmed", one.said))
    return {(one.household_id, one.item, one.member_blind): one for one in rising}


def _natural(reference: str) -> tuple[list[str | int], str]:
    """References in the order in which a body counts them: REF-9 before REF-10."""
    parts: list[str | int] = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", reference)]
    return parts, reference


def positions(session: Session, household_ids: Sequence[UUID]) -> Places:
    """Where each member stands in the present declaration, by household and blind index of the identifier."""
    return {(member.household_id, member.idcs_blind): member.position for member in session.scalars(
        sa.select(Member).where(Member.household_id.in_(household_ids)))}


def placed(row: Finding | Correction, places: Places) -> str | None:
    """The row's item with the member's present position; None for a member who has left."""
    return located(row.item, places, row.household_id, row.member_blind)


def located(item: str, places: Places, household_id: UUID, member_blind: bytes) -> str | None:
    """This item with the position of that member; None for a member who has left."""
    if not member_blind:
        return item
    position = places.get((household_id, member_blind))
    return item.replace("members.", f"members.{position}.", 1) if position else None


def rename(session: Session, household_id: UUID, member_blind: bytes, former: Sequence[bytes]) -> None:
    """A member's blind index was made with a former key: what was found about the member goes on with the new one."""
    for model in (Finding, Correction):
        session.execute(sa.update(model).where(model.household_id == household_id, model.member_blind.in_(former))
                        .values(member_blind=member_blind))


def read(facts: Facts, item: str) -> Any:
    """The value at `equipment.cars` or `members.2.health_cover`. Raises `KeyError` when there is none."""
    value: Any = facts
    for step in item.split("."):
        try:
            value = value[_index(step)] if isinstance(value, list) else value[step]
        except (IndexError, TypeError):
            raise KeyError(item) from None
    return value


def _single(facts: Facts, item: str) -> bool:
    try:
        return not isinstance(read(facts, item), dict | list)
    except KeyError:
        return False


def _index(step: str) -> int:
    if not step.isdecimal() or int(step) == 0:
        raise KeyError(step)
    return int(step) - 1


def _correct(one: Evidence, row: Finding | Correction, places: Places, **source: str) -> None:
    """A member who has left takes no value, nor does a field that was never declared, nor a whole section."""
    item = placed(row, places)
    if item is None or not _single(one.facts, item):
        return
    path, _, last = item.rpartition(".")
    section = read(one.facts, path) if path else one.facts
    section[last] = row.value
    one.sources[item] = source
