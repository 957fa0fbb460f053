"""Complaint clock: what the passing of time does to complaints. Called every minute; idempotent.

Each complaint carries the moment at which something about it changes next (`look_at`), so a call reads only those.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import complaint_handling
from gateway.registry.complaint import Complaint, look_at, moments, move, record, told
from gateway.registry.events import ComplaintClosed, Event
from gateway.vault import Vault

AT_ONCE = 1_000


def due(session: Session, vault: Vault, now: datetime, at_most: int = AT_ONCE) -> list[Event]:
    """End the holds that are over, flag what is at risk, escalate what is overdue, close what was left answered.

    A complaint that a clerk is acting on at this moment is left to the next call.
    """
    waiting = session.scalars(sa.select(Complaint).where(Complaint.look_at <= now).order_by(Complaint.look_at)
                              .limit(at_most).with_for_update(skip_locked=True)).all()
    return [event for complaint in waiting for event in _pass_time(session, vault, complaint, now)]


def _pass_time(session: Session, vault: Vault, complaint: Complaint, now: datetime) -> list[Event]:
    if complaint.state == "on_hold":
        complaint_handling.resume(session, vault, complaint.id, by="system", now=now, focal_points=("system",))
        return []
    if complaint.state == "resolved":
        move(session, vault, complaint.id, "closed", verb="closed", by="system", now=now, closed_at=now)
        return [ComplaintClosed(told(complaint), complaint.id, complaint.number)]
    passed = {what for what, moment in moments(complaint).items() if moment <= now}
    if "at_risk" in passed:
        complaint.at_risk_at = now
        complaint.look_at = look_at(complaint)
        record(session, vault, complaint, "at_risk", by="system", now=now)
    if "escalated" in passed:
        move(session, vault, complaint.id, "escalated", verb="escalated", by="system", now=now, why="time_limit",
             escalated_at=now)
    session.flush()
    return []
