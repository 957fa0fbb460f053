"""Complaint: a grievance with a ticket number at once, the states it goes through, and how it is followed.

What a clerk sees of it is `complaint_reading`, what a clerk does with it `complaint_handling`, and what the passing
of time does `complaint_clock`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry import audit, clock
from gateway.registry.clock import day_of
from gateway.registry.complaint_category import CATEGORIES, FIRST_ACTION_DAYS, FOCAL_POINT_WITHIN
from gateway.registry.events import ComplaintReceived
from gateway.registry.numbers import new_number
from gateway.registry.steps import NotAllowed, Transitions, step
from gateway.vault import Vault

A_DAY_AT_MOST = 5
LONGEST_TEXT = 4_000
REOPENED_WITHIN = timedelta(days=15)
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
ENDED = ("resolved", "closed")


class Complaint(Base):
    """A grievance. `asked_by` (session of the call) makes a repeated callback find the first ticket.

    A sensitive one stands in a queue of its own, and its category is told to nobody without need. `owner` is who
    handles it: here, or the register that was told. `since` is when its state began, `first_action_at` when somebody
    first took it up, `due_at` the end of its time limit, and `look_at` when the ticker must look at it again.
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
    # Whoever complains without a name leaves a trace of the day alone (see `_traces`); a desk leaves none.
    msisdn_blind: Mapped[bytes | None] = mapped_column(index=True)
    asked_by: Mapped[str] = mapped_column(sa.String(120), unique=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_action_by: Mapped[datetime] = mapped_column(UtcDateTime)
    first_action_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    assigned_to: Mapped[str | None] = mapped_column(sa.String(80))
    text_sealed: Mapped[bytes | None]
    hold_until: Mapped[date | None]
    hold_reason: Mapped[str | None] = mapped_column(sa.String(24))
    resolution: Mapped[str | None] = mapped_column(sa.String(24))
    answer_sealed: Mapped[bytes | None]
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reopened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    at_risk_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    escalated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    satisfaction: Mapped[int | None] = mapped_column(sa.SmallInteger)


@dataclass(frozen=True)
class Followed:
    """What whoever has the number is told: a coarse state, since which day, and what comes next (by which day).

    `next_step` and `owner` are codes with words in every language.
    """

    state: str
    since: date
    next_step: str
    by: date | None
    owner: str
    may_reopen: bool


def file(session: Session, vault: Vault, *, household_id: UUID | None, category: str, channel: str,
         msisdn_blind: bytes | None, asked_by: str, now: datetime, named: bool = False, text: str | None = None,
         by: str = "household", chance: Random = CHANCE) -> ComplaintReceived:
    """File it and acknowledge it, or find it when this session (`asked_by`) already did.

    A sensitive complaint is nobody's unless the household wants its name on it (`named`). `chance` draws the
    number. Raises `TooManyComplaints`, and `NotAllowed` for a text that is too long.
    """
    kind = CATEGORIES.get(category)
    if kind is None:
        raise ValueError("no such category of complaint")
    text = _checked(text)
    if kind.sensitive and not named:
        household_id = None
    traces = _traces(vault, msisdn_blind, now, anonymous=household_id is None)
    if household_id is None:
        asked_by = vault.blind(asked_by, "complaint.asked_by").hex()
    # What cannot be inserted was filed at the same moment, or its number is taken: look again.
    while (found := session.scalar(sa.select(Complaint).where(Complaint.asked_by == asked_by))) is None:
        if traces and _filed(session, traces, now) >= A_DAY_AT_MOST:
            raise TooManyComplaints
        row_id = new_id()
        if insert_new(session, Complaint, [{
                "id": row_id, "household_id": household_id, "category": category, "channel": channel,
                "msisdn_blind": traces[0] if traces else None, "asked_by": asked_by, "received_at": now,
                "number": new_number("complaint", chance), "sensitive": kind.sensitive, "owner": kind.owner,
                "since": now, "text_sealed": vault.seal(text, "complaint.text", row_id) if text else None,
                **limits(category, now)}]):
            _acknowledge(session, vault, row_id, kind.owner, by=by, now=now)
    return ComplaintReceived(told(found), found.id, found.number, found.owner)


def limits(category: str, start: datetime) -> dict[str, Any]:
    """By when somebody must take it up, and by when it must be resolved."""
    kind = CATEGORIES[category]
    first = start + FOCAL_POINT_WITHIN if kind.sensitive else clock.deadline(start, FIRST_ACTION_DAYS)
    return {"first_action_by": first, "due_at": clock.deadline(start, kind.days)}


def told(complaint: Complaint) -> UUID | None:
    """The household that hears of its complaint. Of a sensitive one nothing is sent: a telephone is seen by many."""
    return None if complaint.sensitive else complaint.household_id


def move(session: Session, vault: Vault, complaint_id: UUID, to: str, *conditions: sa.ColumnElement[bool], verb: str,
         by: str, now: datetime, why: str | None = None, **values: Any) -> Complaint:
    """One step along `TRANSITIONS`, audited, with the moment at which the ticker must look again."""
    moved = step(session, Complaint, complaint_id, to, TRANSITIONS, *conditions, since=now, **values)
    moved.look_at = look_at(moved)
    session.flush()
    record(session, vault, moved, verb, by=by, now=now, why=why, state=to)
    return moved


def record(session: Session, vault: Vault, complaint: Complaint, verb: str, *, by: str, now: datetime,
           why: str | None = None, **detail: str) -> None:
    """Write it down. Whose a sensitive complaint is does not stand in the audit either."""
    audit.record(session, vault, f"complaint.{verb}", by=by, now=now, household_id=told(complaint),
                 subject=complaint.id, why=why, **detail)


def look_at(complaint: Complaint) -> datetime | None:
    """When time next changes something about it; None when it never will."""
    match complaint.state:
        case "on_hold":
            return clock.start_of(complaint.hold_until + clock.A_DAY) if complaint.hold_until else None
        case "resolved":
            last = last_day_to_reopen(complaint)
            return None if complaint.sensitive or last is None else clock.start_of(last + clock.A_DAY)
        case "closed" | "escalated":
            return None
        case _:
            return min(moments(complaint).values(), default=None)


def moments(complaint: Complaint) -> dict[str, datetime]:
    """What waits for an open complaint, and when: `at_risk` and `escalated`, each once in a time limit."""
    kind = CATEGORIES[complaint.category]
    found = {}
    if complaint.at_risk_at is None:
        day = clock.add_working_days(day_of(complaint.due_at), -kind.days_left_at_risk)
        found["at_risk"] = clock.end_of_office(day)
    if complaint.first_action_at is None and complaint.escalated_at is None:
        found["escalated"] = min(complaint.first_action_by, complaint.due_at)
    elif complaint.escalated_at is None or complaint.escalated_at < complaint.due_at:
        found["escalated"] = complaint.due_at
    return found


def last_day_to_reopen(complaint: Complaint) -> date | None:
    """The last day on which a resolved complaint may be, or might have been, reopened."""
    return day_of(complaint.resolved_at) + REOPENED_WITHIN if complaint.resolved_at else None


def find(session: Session, number: str) -> Complaint:
    """The complaint of this number (nine digits). Raises `NotAllowed`."""
    found = session.scalar(sa.select(Complaint).where(Complaint.number == number))
    if found is None:
        raise NotAllowed("There is no such complaint.")
    return found


# Whoever overheard a number learns no more than this.
COARSE = {"received": "received", "acknowledged": "received", "assigned": "in_progress", "in_progress": "in_progress",
          "on_hold": "in_progress", "escalated": "in_progress", "resolved": "answered", "closed": "answered",
          "reopened": "in_progress"}


def state_of(session: Session, number: str, now: datetime) -> Followed | None:
    """Where the complaint of this number stands, told to anybody who has the number; None when there is none."""
    found = session.scalar(sa.select(Complaint).where(Complaint.number == number))
    if found is None:
        return None
    may_reopen = can_reopen(found, now)
    code, by = _next_step(found, may_reopen=may_reopen)
    return Followed(COARSE[found.state], day_of(found.since), code, by, found.owner, may_reopen)


def can_reopen(complaint: Complaint, now: datetime) -> bool:
    """Once, until the fifteenth day after its resolution."""
    last = last_day_to_reopen(complaint)
    return complaint.state in ENDED and complaint.reopened_at is None and last is not None and day_of(now) <= last


def _next_step(complaint: Complaint, *, may_reopen: bool) -> tuple[str, date | None]:
    match complaint.state:
        case "received" | "acknowledged" | "reopened":
            return "taken_up", day_of(complaint.first_action_by)
        case "assigned" | "in_progress":
            return "answered" if complaint.owner == "here" else "answered_by_register", day_of(complaint.due_at)
        case "on_hold":
            return "waits", complaint.hold_until
        case "escalated":
            return "supervisor_decides", None
        case "resolved" | "closed" if may_reopen:
            return "read_or_reopen", last_day_to_reopen(complaint)
        case _:
            return "read", None


def _acknowledge(session: Session, vault: Vault, complaint_id: UUID, owner: str, *, by: str, now: datetime) -> None:
    """The number is told at once. What another register owns is sent there at once as well."""
    move(session, vault, complaint_id, "acknowledged", verb="filed", by=by, now=now, acknowledged_at=now)
    if owner != "here":
        move(session, vault, complaint_id, "assigned", verb="routed", by="system", now=now, assigned_to=owner)


def _checked(text: str | None) -> str | None:
    text = (text or "").strip()
    if len(text) > LONGEST_TEXT:
        raise NotAllowed(f"The text is longer than {LONGEST_TEXT} characters; shorten it.")
    return text or None


def _traces(vault: Vault, msisdn_blind: bytes | None, now: datetime, *, anonymous: bool) -> list[bytes]:
    """What a telephone may have left behind within a day; first what it leaves now.

    An anonymous complaint keeps a keyed trace of the number and the day: enough to count to the limit, and
    tomorrow it leads to nobody.
    """
    if msisdn_blind is None:
        return []
    today = day_of(now)
    days = [vault.blind(f"{msisdn_blind.hex()} {day}", "complaint.day") for day in (today, today - clock.A_DAY)]
    return [*days, msisdn_blind] if anonymous else [msisdn_blind, *days]


def _filed(session: Session, traces: list[bytes], now: datetime) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Complaint).where(
        Complaint.msisdn_blind.in_(traces), Complaint.received_at > now - timedelta(days=1))) or 0
