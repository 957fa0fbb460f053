"""Review clock: what the hours do to reviews: the window closes soon, a day to bring something or to answer passed.

`due` is called every minute. What it has done it does not do again, and two clocks at once do not do it twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import registration, score
from gateway.registry.clock import day_of
from gateway.registry.events import Event, ReviewLate, ReviewWindowCloses
from gateway.registry.review import WINDOW, Review, last_day, record, resume, watched
from gateway.registry.score import CurrentScore, Notification
from gateway.vault import Vault

REMINDED_BEFORE = timedelta(days=7)
# What is promised once a promise was broken, unless the caller says otherwise.
ANSWERED_AGAIN_WITHIN = timedelta(days=10)
AT_ONCE = 1000


def due(session: Session, vault: Vault, now: datetime, *, again_within: timedelta = ANSWERED_AGAIN_WITHIN,
        limit: int = AT_ONCE) -> list[Event]:
    """Remind of windows that close, resume reviews that waited in vain, mark those at risk, and tell the late ones.

    At most `limit` rows of each kind a call. Each promise that is broken is followed by a new one, `again_within` from
    today, and told. To escalate is to stand in the audit, at risk and at each breach, and on the clerks' list of those
    at risk.
    """
    return [*_reminders(session, now, limit), *_watched(session, vault, now, again_within, limit)]


def _reminders(session: Session, now: datetime, limit: int) -> list[Event]:
    """Once for each score that still counts, where nobody has asked: who withdrew a review knows the way.

    A household out of the register has no index to contest.
    """
    today = day_of(now)
    near = session.scalars(
        sa.select(Notification)
        .where(Notification.reminded_at.is_(None),
               Notification.notified_on.between(today - WINDOW, today - WINDOW + REMINDED_BEFORE))
        .order_by(Notification.notified_on).limit(limit).with_for_update(skip_locked=True)).all()
    homes = [row.household_id for row in near]
    counting = session.scalars(sa.select(CurrentScore.score_id).where(CurrentScore.id.in_(homes)))
    # A score that looks as the one before it was told with that one.
    proofs = (score.notified(session, score_id) for score_id in counting.all())
    current = {proof.score_id for proof in proofs if proof}
    asked = set(session.scalars(sa.select(Review.score_id).where(Review.score_id.in_([row.score_id for row in near]))))
    out = registration.standing_out(session, homes)
    for row in near:
        row.reminded_at = now
    session.flush()
    return [ReviewWindowCloses(row.household_id, row.score_id, last_day(row.notified_on))
            for row in near if row.score_id in current - asked and row.household_id not in out]


def _watched(session: Session, vault: Vault, now: datetime, again_within: timedelta, limit: int) -> list[Event]:
    rows = session.scalars(
        sa.select(Review).where(Review.watch_on <= day_of(now)).order_by(Review.watch_on, Review.id).limit(limit)
        .with_for_update(skip_locked=True).execution_options(populate_existing=True)).all()
    return [event for row in rows for event in _looked_at(session, vault, row, now, again_within)]


def _looked_at(session: Session, vault: Vault, row: Review, now: datetime, again_within: timedelta) -> list[Event]:
    events: list[Event] = []
    if row.state == "needs_information":
        # The household did not come: what is there decides.
        row = resume(session, vault, row, "information_not_received", by="system", now=now)
    if row.at_risk_at is None and _reached(row, now):
        row.at_risk_at = now
        record(session, vault, row, "at_risk", by="system", now=now)
    if row.at_risk_at and _reached(row, now):
        row.late_at, row.promised_by = row.late_at or now, day_of(now) + again_within
        record(session, vault, row, "late", by="system", now=now)
        events.append(ReviewLate(row.household_id, row.id, row.number, row.promised_by))
    row.watch_on = watched(row)
    session.flush()
    return events


def _reached(row: Review, now: datetime) -> bool:
    return watched(row) <= day_of(now)
