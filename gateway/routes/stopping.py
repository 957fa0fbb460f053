"""Stopping: a provider that refuses our account, sender or balance is stopped at once, for all processes.

No text is spent on finding out whether it is well again but one, after a minute, then 5, 15 and 60. It is taken back
when it accepts that one, or by an operator.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.codes import named
from gateway.db import insert_new
from gateway.routes.record import SYSTEM, RouteStop, note

log = logging.getLogger(__name__)

# Minutes until one text tries again, each time that it was in vain; the last for as long as it takes.
TRIED_AFTER = (1, 5, 15, 60)


def stops(session: Session) -> dict[str, RouteStop]:
    """Who is stopped, by name."""
    return {stop.id: stop for stop in session.scalars(sa.select(RouteStop).order_by(RouteStop.id))}


def stop(session: Session, provider: str, code: str, now: datetime) -> bool:
    """It has refused us by this code. False where that is known: it is told of once."""
    reason = f"it refuses our account, sender or balance: {code} {named(provider, code)}".strip()
    row = {"id": provider, "code": code[:80], "reason": reason[:200], "by": SYSTEM, "stopped_at": now, "probes": 0,
           "probe_at": now + _wait(0), "probed_at": None}
    if not insert_new(session, RouteStop, [row]):
        return False
    note(session, provider, f"stopped: {reason}", now, figures={"code": code[:80]})
    log.error("%s is stopped: %s. An operator is needed; then: mouachir routes resume %s", provider, reason, provider)
    return True


def stop_by_hand(session: Session, provider: str, why: str, by: str, now: datetime) -> None:
    """An operator leaves it alone until an operator resumes it."""
    session.merge(RouteStop(id=provider, code="", reason=why[:200], by=by[:80], stopped_at=now, probes=0, probe_at=None,
                            probed_at=None))
    note(session, provider, f"stopped: {why}", now, by=by)


def may_try(session: Session, provider: str, now: datetime) -> bool:
    """Whether the caller may hand it one text now to see if it takes us again. Of two that ask at once one may."""
    due = session.scalar(sa.select(RouteStop.probes).where(RouteStop.id == provider, RouteStop.probe_at <= now))
    return due is not None and session.scalar(
        sa.update(RouteStop).where(RouteStop.id == provider, RouteStop.probe_at <= now)
        .values(probes=due + 1, probed_at=now, probe_at=now + _wait(due + 1)).returning(RouteStop.id)) is not None


def lift(session: Session, provider: str, began: datetime, now: datetime) -> bool:
    """It has accepted a text whose send began then. One that was in flight when it was stopped proves nothing."""
    lifted = session.scalar(sa.delete(RouteStop).where(RouteStop.id == provider, RouteStop.probed_at <= began)
                            .returning(RouteStop.id)) is not None
    if lifted:
        note(session, provider, "taken back: it accepts texts again", now)
        log.warning("%s accepts texts again: it is no longer stopped", provider)
    return lifted


def resume(session: Session, provider: str, by: str, now: datetime) -> bool:
    """An operator has mended what was wrong. False where it was not stopped."""
    lifted = session.scalar(sa.delete(RouteStop).where(RouteStop.id == provider).returning(RouteStop.id)) is not None
    if lifted:
        note(session, provider, "resumed", now, by=by)
    return lifted


def _wait(probes: int) -> timedelta:
    return timedelta(minutes=TRIED_AFTER[min(probes, len(TRIED_AFTER) - 1)])
