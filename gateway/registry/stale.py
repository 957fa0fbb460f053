"""Stale: households whose index is a year old and more (figure MAJ-04 of the registry's process figures)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry.household import Household
from gateway.registry.registration import Registration, taking_part
from gateway.registry.score import CurrentScore, IndexScore

DAYS = 365
AT_ONCE = 1_000


@dataclass(frozen=True)
class Stale:
    """A household, the number of its registration, and when the index that counts for it was computed."""

    household_id: UUID
    number: str
    region: int
    computed_at: datetime


def not_rescored(session: Session, now: datetime, days: int = DAYS, at_once: int = AT_ONCE) -> Iterator[Stale]:
    """The households that were not scored anew in so many days (of 24 hours), in the order of their ids.

    Read in pages of `at_once` along the primary keys: memory does not grow. One that was never scored is not among
    them: it is late, and on the list of registrations.
    """
    last: UUID | None = None
    while True:
        page = (_old(now, days).join(Registration, Registration.household_id == CurrentScore.id)
                .add_columns(CurrentScore.id, Registration.number, Household.region, IndexScore.computed_at)
                .order_by(CurrentScore.id).limit(at_once))
        found = session.execute(page.where(CurrentScore.id > last) if last else page).all()
        yield from (Stale(*row) for row in found)
        if len(found) < at_once:
            return
        last = found[-1].id


def count(session: Session, now: datetime, days: int = DAYS) -> dict[int, int]:
    """How many there are, by region."""
    by_region = _old(now, days).add_columns(Household.region, sa.func.count()).group_by(Household.region)
    return {region: found for region, found in session.execute(by_region.order_by(Household.region))}


def _old(now: datetime, days: int) -> sa.Select[()]:
    return (sa.select().select_from(CurrentScore).join(IndexScore, IndexScore.id == CurrentScore.score_id)
            .join(Household, Household.id == CurrentScore.id)
            .where(IndexScore.computed_at <= now - timedelta(days=days), taking_part(CurrentScore.id)))
