"""Complaint: a grievance filed by telephone, with a ticket number at once."""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry.events import ComplaintReceived
from gateway.registry.numbers import new_number
from gateway.registry.steps import Transitions

CATEGORIES = ("notice_not_received", "index_wrong", "data_wrong", "composition_wrong", "phone_problem",
              "payment_not_received", "amo_rights", "staff_conduct", "fraud_message", "request_late", "other")
A_DAY_AT_MOST = 5
CHANCE = secrets.SystemRandom()


class TooManyComplaints(Exception):
    """This telephone has filed enough today; the limit keeps one angry hand from hiding the others."""


TRANSITIONS: Transitions = {
    "received": frozenset({"acknowledged"}),
    "acknowledged": frozenset({"assigned", "escalated"}),
    "assigned": frozenset({"assigned", "in_progress", "on_hold", "resolved", "escalated"}),
    "in_progress": frozenset({"assigned", "on_hold", "resolved", "escalated"}),
    "on_hold": frozenset({"in_progress", "escalated"}),
    "escalated": frozenset({"assigned", "in_progress", "resolved"}),
    "resolved": frozenset({"closed", "reopened"}),
    "closed": frozenset({"reopened"}),
    "reopened": frozenset({"assigned", "escalated"}),
}


class Complaint(Base):
    """A grievance. `asked_by` (session of the call) makes a repeated callback find the first ticket.

    A sensitive one stands in a queue of its own, and its category is told to nobody without need. `owner` is who
    handles it: here, or the register that was told. `due_at` is the end of its time limit.
    """

    __tablename__ = "complaint"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("household.id"), index=True)
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    category: Mapped[str] = mapped_column(sa.String(24))
    sensitive: Mapped[bool]
    owner: Mapped[str] = mapped_column(sa.String(24))
    state: Mapped[str] = mapped_column(sa.String(16), default="received", index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    channel: Mapped[str] = mapped_column(sa.String(8))
    # Whoever complains without a name leaves a trace of the day alone (see `file`).
    msisdn_blind: Mapped[bytes] = mapped_column(index=True)
    asked_by: Mapped[str] = mapped_column(sa.String(120), unique=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_action_by: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    assigned_to: Mapped[str | None] = mapped_column(sa.String(80))
    text_sealed: Mapped[bytes | None]
    hold_until: Mapped[date | None]
    resolution: Mapped[str | None] = mapped_column(sa.String(24))
    answer_sealed: Mapped[bytes | None]
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reopened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    at_risk_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    escalated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    satisfaction: Mapped[int | None] = mapped_column(sa.SmallInteger)


def file(session: Session, *, household_id: UUID | None, category: str, channel: str, msisdn_blind: bytes,
         asked_by: str, now: datetime, chance: Random = CHANCE) -> ComplaintReceived:
    """File it, or find it when this session already did. Raises `TooManyComplaints`. `chance` draws the number."""
    if category not in CATEGORIES:
        raise ValueError("no such category of complaint")
    # What cannot be inserted was filed at the same moment, or its number is taken: look again.
    while (found := session.scalar(sa.select(Complaint).where(Complaint.asked_by == asked_by))) is None:
        recent = session.scalar(sa.select(sa.func.count()).select_from(Complaint).where(
            Complaint.msisdn_blind == msisdn_blind, Complaint.received_at > now - timedelta(days=1))) or 0
        if recent >= A_DAY_AT_MOST:
            raise TooManyComplaints
        insert_new(session, Complaint, [{
            "id": new_id(), "household_id": household_id, "category": category, "channel": channel,
            "msisdn_blind": msisdn_blind, "asked_by": asked_by, "received_at": now,
            "number": new_number("complaint", chance), "sensitive": False, "owner": "here", "since": now,
            "first_action_by": now, "due_at": now}])
    return ComplaintReceived(found.household_id, found.id, found.number)
