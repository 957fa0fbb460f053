"""Complaint, read: what a clerk may see of complaints. Sensitive ones are for focal points alone; each look is audited.

Who the focal points are is told by whoever calls: the registry keeps no list of staff.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry.complaint import ENDED, Complaint, record
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

LISTED_AT_MOST = 200


def need_to_know(complaint: Complaint, by: str, focal_points: Collection[str]) -> None:
    """Refuse whoever has no need to know of a sensitive complaint: its focal point, and the others, have."""
    if complaint.sensitive and by not in focal_points and by != complaint.assigned_to:
        raise NotAllowed("This complaint is for its focal point only; give the household its number and no more.")


def need_for_words(complaint: Complaint, by: str, focal_points: Collection[str]) -> None:
    """Refuse whoever does not handle it what the person wrote or said: one may tell of others in it."""
    if by not in focal_points and by != complaint.assigned_to:
        raise NotAllowed("What was written or said is for whoever it is assigned to; have it assigned to you first.")


def view(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
         focal_points: Collection[str] = ()) -> Complaint:
    """Show it to a clerk who may see it, and write down that it was seen. Raises `NotAllowed`."""
    found = session.get_one(Complaint, complaint_id)
    need_to_know(found, by, focal_points)
    record(session, vault, found, "viewed", by=by, now=now)
    return found


def read_text(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
              focal_points: Collection[str] = ()) -> str | None:
    """What was written, for whoever it is assigned to or a focal point; audited. Raises `NotAllowed`."""
    found = session.get_one(Complaint, complaint_id)
    need_for_words(found, by, focal_points)
    record(session, vault, found, "text_read", by=by, now=now)
    return vault.open(found.text_sealed, "complaint.text", found.id) if found.text_sealed else None


def listed(session: Session, *, now: datetime, by: str, state: str | None = None, owner: str | None = None,
           late: bool = False, sensitive: bool = False, focal_points: Collection[str] = ()) -> Sequence[Complaint]:
    """Complaints, the one that is due first first; at most 200. Sensitive ones are a list of their own."""
    if sensitive and by not in focal_points:
        raise NotAllowed("The sensitive complaints are listed for focal points only.")
    query = sa.select(Complaint).where(Complaint.sensitive == sensitive).order_by(Complaint.due_at, Complaint.number)
    if state:
        query = query.where(Complaint.state == state)
    if owner:
        query = query.where(Complaint.owner == owner)
    if late:
        query = query.where(Complaint.state.not_in((*ENDED, "on_hold")), sa.or_(
            Complaint.due_at < now,
            sa.and_(Complaint.first_action_at.is_(None), Complaint.first_action_by < now)))
    return session.scalars(query.limit(LISTED_AT_MOST)).all()
