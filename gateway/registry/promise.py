"""Promise: a household is told its index within ten days of registering, or told before that it will be late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import audit, inquiry
from gateway.registry.clock import day_of
from gateway.registry.events import Event, RegistrationLate
from gateway.registry.registration import OUT, TOLD_WITHIN, UNSCORED, Registration
from gateway.vault import Vault

# A ticker's call handles at most so many, and rings again.
AT_MOST = 1_000


@dataclass(frozen=True)
class Overdue:
    """A registration past its tenth day whose household has not been told."""

    number: str
    state: str
    registered_on: date
    days: int
    waits_for: tuple[str, ...]


@dataclass(frozen=True)
class InTime:
    """Of the households `registered` in a period whose tenth day has passed, those told `in_time`."""

    in_time: int
    registered: int


def due(session: Session, vault: Vault, now: datetime, warn_after: timedelta) -> list[Event]:
    """Tell once, before the tenth day, those who have no index after `warn_after`; at most `AT_MOST` a call."""
    waiting = (Registration.state.in_(UNSCORED), Registration.late_told_at.is_(None))
    some = sa.select(Registration.id).where(
        *waiting, Registration.registered_on <= day_of(now) - warn_after).order_by(Registration.id).limit(AT_MOST)
    rows = list(session.scalars(sa.update(Registration).where(Registration.id.in_(some), *waiting)
                                .values(late_told_at=now).returning(Registration)))
    waits = inquiry.waits_for(session, [row.household_id for row in rows if row.household_id])
    events: list[Event] = []
    for row in rows:
        if row.household_id:
            events.append(RegistrationLate(row.household_id, row.id, waits[row.household_id]))
            audit.record(session, vault, "registration.late", by="system", now=now, household_id=row.household_id,
                         subject=row.id, waits_for=list(waits[row.household_id]))
    return events


def late(session: Session, now: datetime, limit: int = AT_MOST) -> list[Overdue]:
    """Whose tenth day has passed without being told, the longest waiting first."""
    today = day_of(now)
    rows = session.scalars(
        sa.select(Registration).where(Registration.state.in_((*UNSCORED, "scored")),
                                      Registration.registered_on < today - TOLD_WITHIN)
        .order_by(Registration.registered_on, Registration.id).limit(limit)).all()
    waits = inquiry.waits_for(session, [row.household_id for row in rows if row.household_id])
    return [Overdue(row.number, row.state, row.registered_on, (today - row.registered_on).days,
                    waits[row.household_id]) for row in rows if row.household_id]


def share_in_time(session: Session, first: date, last: date, now: datetime) -> InTime:
    """How the promise was kept to those registered from `first` to `last` whose tenth day has passed by `now`.

    Who left the register before being told was promised nothing any more.
    """
    passed = day_of(now) - TOLD_WITHIN - timedelta(days=1)
    counted = session.execute(
        sa.select(Registration.registered_on, Registration.notified_on, sa.func.count()).where(
            Registration.registered_on.between(first, min(last, passed)), Registration.state != "pre_registered",
            sa.or_(Registration.state.not_in(OUT), Registration.notified_on.is_not(None)))
        .group_by(Registration.registered_on, Registration.notified_on)).all()
    return InTime(in_time=sum(count for registered_on, told_on, count in counted
                              if told_on and told_on <= registered_on + TOLD_WITHIN),
                  registered=sum(count for *_, count in counted))
