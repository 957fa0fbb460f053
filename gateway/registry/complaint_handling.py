"""Complaint, handled: each thing that a clerk or the household does with a complaint after it was filed.

Every verb runs in the caller's transaction, is audited, and refuses with `NotAllowed`. On a sensitive complaint only
focal points, and the one it is assigned to, may act.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import UtcDateTime
from gateway.registry import clock
from gateway.registry.clock import day_of
from gateway.registry.complaint import (
    LONGEST_TEXT,
    REOPENED_WITHIN,
    Complaint,
    can_reopen,
    last_day_to_reopen,
    limits,
    move,
    record,
    told,
)
from gateway.registry.complaint_reading import need_to_know
from gateway.registry.events import ComplaintClosed, ComplaintOnHold, ComplaintResolved, Event
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

HOLD_REASONS = ("waits_for_household", "waits_for_register", "waits_for_partner", "waits_for_visit")
RESOLUTIONS = ("upheld", "partially_upheld", "rejected", "redirected", "withdrawn", "duplicate")
# A hold ends by itself; whoever needs longer says so again.
LONGEST_HOLD = timedelta(days=30)


def assign(session: Session, vault: Vault, complaint_id: UUID, to: str, *, by: str, now: datetime,
           focal_points: Collection[str] = ()) -> list[Event]:
    """Give it to a named person; of a sensitive one, that is its focal point."""
    name = to.strip()
    if not 1 <= len(name) <= 80:
        raise NotAllowed("Say to whom it is assigned, in 80 characters at most.")
    _step(session, vault, complaint_id, "assigned", verb="assigned", by=by, now=now, focal_points=focal_points,
          assigned_to=name)
    return []


def begin(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
          focal_points: Collection[str] = ()) -> list[Event]:
    """Somebody looks into it now. What is on hold is resumed with `resume`, which gives it its time back."""
    if session.get_one(Complaint, complaint_id, populate_existing=True).state == "on_hold":
        raise NotAllowed("This complaint is on hold; it can be resumed.")
    _step(session, vault, complaint_id, "in_progress", Complaint.state != "on_hold", verb="begun", by=by, now=now,
          focal_points=focal_points)
    return []


def hold(session: Session, vault: Vault, complaint_id: UUID, *, until: date, reason: str, by: str, now: datetime,
         focal_points: Collection[str] = ()) -> list[Event]:
    """It waits until the end of a day, for a reason of `HOLD_REASONS`. That time does not count."""
    if reason not in HOLD_REASONS:
        raise NotAllowed(f"The reason for a hold is one of {', '.join(HOLD_REASONS)}.")
    if not day_of(now) < until <= day_of(now) + LONGEST_HOLD:
        raise NotAllowed(f"A hold ends after today and within {LONGEST_HOLD.days} days.")
    held = _step(session, vault, complaint_id, "on_hold", verb="held", by=by, now=now, focal_points=focal_points,
                 why=reason, hold_until=until, hold_reason=reason)
    return [ComplaintOnHold(told(held), held.id, held.number, until)]


def resume(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
           focal_points: Collection[str] = ()) -> list[Event]:
    """What it waited for has come, or the day has passed: its time runs on, longer by the working days it waited."""
    waiting = session.get_one(Complaint, complaint_id, populate_existing=True)
    if waiting.state != "on_hold":
        raise NotAllowed(f"This complaint is {waiting.state}; only one that is on hold is resumed.")
    waited = clock.working_days_between(day_of(waiting.since), day_of(now))
    due_at = clock.end_of_office(clock.add_working_days(day_of(waiting.due_at), waited))
    _step(session, vault, complaint_id, "in_progress", Complaint.state == "on_hold", Complaint.since == waiting.since,
          verb="resumed", by=by, now=now, focal_points=focal_points, due_at=due_at, hold_until=None, hold_reason=None)
    return []


def resolve(session: Session, vault: Vault, complaint_id: UUID, *, resolution: str, answer: str, by: str, now: datetime,
            focal_points: Collection[str] = ()) -> list[Event]:
    """Answer it: a code of `RESOLUTIONS`, and the answer in words, which is sealed."""
    answer = answer.strip()
    if resolution not in RESOLUTIONS:
        raise NotAllowed(f"A resolution is one of {', '.join(RESOLUTIONS)}.")
    if not 1 <= len(answer) <= LONGEST_TEXT:
        raise NotAllowed(f"A resolution needs an answer in words, of {LONGEST_TEXT} characters at most.")
    done = _step(session, vault, complaint_id, "resolved", verb="resolved", by=by, now=now, focal_points=focal_points,
                 why=resolution, resolution=resolution, resolved_at=now,
                 answer_sealed=vault.seal(answer, "complaint.answer", complaint_id))
    until = last_day_to_reopen(done) if can_reopen(done, now) else None
    return [ComplaintResolved(told(done), done.id, done.number, until)]


def close(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
          focal_points: Collection[str] = ()) -> list[Event]:
    """Put it away. A sensitive one is only ever closed by this."""
    done = _step(session, vault, complaint_id, "closed", verb="closed", by=by, now=now, focal_points=focal_points,
                 closed_at=now)
    return [ComplaintClosed(told(done), done.id, done.number)]


def reopen(session: Session, vault: Vault, complaint_id: UUID, *, now: datetime, by: str = "household") -> list[Event]:
    """The household, which has the number, is not content with the answer: once, within 15 days of it."""
    found = session.get_one(Complaint, complaint_id, populate_existing=True)
    if found.reopened_at is not None:
        raise NotAllowed("This complaint was reopened once already; a new complaint can be filed.")
    last = last_day_to_reopen(found)
    if last is not None and day_of(now) > last:
        raise NotAllowed(f"A complaint is reopened within {REOPENED_WITHIN.days} days of its answer, here until "
                         f"{last}; a new complaint can be filed.")
    move(session, vault, complaint_id, "reopened", Complaint.reopened_at.is_(None), verb="reopened", by=by, now=now,
         reopened_at=now, assigned_to=None, closed_at=None, first_action_at=None, at_risk_at=None, escalated_at=None,
         **limits(found.category, now))
    return []


def escalate(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
             focal_points: Collection[str] = ()) -> list[Event]:
    """Hand it to a supervisor: it waits for nothing any more. The ticker does the same when a time limit has passed."""
    _step(session, vault, complaint_id, "escalated", verb="escalated", by=by, now=now, focal_points=focal_points,
          escalated_at=now, hold_until=None, hold_reason=None)
    return []


def rate(session: Session, vault: Vault, complaint_id: UUID, digit: int, *, now: datetime,
         by: str = "household") -> list[Event]:
    """How content the household is, 1 to 5, said once after closing."""
    if digit not in range(1, 6):
        raise NotAllowed("A rating is one digit from 1 (not content) to 5 (content).")
    rated = session.scalar(sa.update(Complaint).where(
        Complaint.id == complaint_id, Complaint.state == "closed", Complaint.satisfaction.is_(None))
        .values(satisfaction=digit).returning(Complaint.id))
    found = session.get_one(Complaint, complaint_id, populate_existing=True)
    if rated is None:
        raise NotAllowed("This complaint was rated once already." if found.satisfaction is not None else
                         f"This complaint is {found.state}; it is rated after it was closed.")
    record(session, vault, found, "rated", by=by, now=now)
    return []


# What is left undone until a person does it: these steps show that somebody took the complaint up.
TAKEN_UP = ("assigned", "in_progress", "on_hold", "resolved")


def _step(session: Session, vault: Vault, complaint_id: UUID, to: str, *conditions: sa.ColumnElement[bool], verb: str,
          by: str, now: datetime, focal_points: Collection[str], why: str | None = None, **values: Any) -> Complaint:
    need_to_know(session.get_one(Complaint, complaint_id, populate_existing=True), by, focal_points)
    if to in TAKEN_UP:
        values["first_action_at"] = sa.func.coalesce(Complaint.first_action_at, sa.literal(now, UtcDateTime))
    return move(session, vault, complaint_id, to, *conditions, verb=verb, by=by, now=now, why=why, **values)
