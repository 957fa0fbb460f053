"""Calling: people whom we call back: they rang the number that is refused, or could not go on by themselves.

A person who hears the telephone ring twice for one question loses trust, and may pay for it abroad. So a row is
committed as `calling` before the provider is asked, and what is not certainly undone is never tried again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from channels.base import Accepted, Misconfigured, SendError, Throttled, Unavailable
from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry.phones import NotATelephone, telephone
from gateway.vault import CannotOpen, Vault

log = logging.getLogger(__name__)

A_DAY_AT_MOST = 3
ATTEMPTS_AT_MOST = 3
# The person has put the telephone down by then, and still has it in hand.
AFTER = timedelta(seconds=30)
FIRST_WAIT = timedelta(minutes=1)
# Quiet hours do not apply to a person who rang just now, at whatever hour; for the same reason a call that could not
# be made by then, because everything stood still, is not made in the middle of the night.
WITHIN = timedelta(minutes=30)

OPEN = sa.text("state IN ('due', 'calling')")


class CallBack(Base):
    """A call that a telephone was promised. `code` says why it failed, in the provider's word or ours."""

    __tablename__ = "call_back"
    __table_args__ = (sa.Index("ix_call_back_open", "msisdn_blind", unique=True, postgresql_where=OPEN,
                               sqlite_where=OPEN),
                      sa.Index("ix_call_back_due", "due_at", postgresql_where=OPEN, sqlite_where=OPEN))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    msisdn_blind: Mapped[bytes] = mapped_column(index=True)
    msisdn_sealed: Mapped[bytes]
    why: Mapped[str] = mapped_column(sa.String(20))
    state: Mapped[str] = mapped_column(sa.String(8), default="due")
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    provider: Mapped[str | None] = mapped_column(sa.String(20))
    provider_id: Mapped[str | None] = mapped_column(sa.String(80))
    code: Mapped[str | None] = mapped_column(sa.String(80))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Claim:
    """A call in a worker's hands, to be made before `until`."""

    id: UUID
    attempt: int
    until: datetime
    msisdn: str = field(repr=False)


def ask(session: Session, vault: Vault, msisdn: str, now: datetime, *, why: str) -> bool:
    """Promise a call to a telephone of this country. Whether there is such a promise now: one that waits is enough.

    Three a day at most: whoever rings for others, or for fun, costs the service no more. Whether texts are stopped
    does not matter; this is an answer.
    """
    try:
        msisdn = telephone(msisdn).msisdn
    except NotATelephone:
        return False
    known = CallBack.msisdn_blind.in_(vault.blinds(msisdn, "call_back.msisdn"))
    if session.scalar(sa.select(CallBack.id).where(known, CallBack.state.in_(("due", "calling")))):
        return True
    of_today = session.scalar(sa.select(sa.func.count()).select_from(CallBack).where(
        known, CallBack.asked_at > now - timedelta(days=1))) or 0
    if of_today >= A_DAY_AT_MOST:
        return False
    # What cannot be inserted was asked for at the same moment, and stands.
    row_id = new_id()
    insert_new(session, CallBack, [{
        "id": row_id, "msisdn_blind": vault.blind(msisdn, "call_back.msisdn"),
        "msisdn_sealed": vault.seal(msisdn, "call_back.msisdn", row_id), "why": why, "due_at": now + AFTER,
        "asked_at": now, "changed_at": now}])
    return True


def claim(session: Session, vault: Vault, provider: str, now: datetime, lease: timedelta) -> Claim | None:
    """Take the call that is due first, if any. To be committed before the provider is asked."""
    due = sa.select(CallBack.id).where(CallBack.state == "due", CallBack.due_at <= now).order_by(
        CallBack.due_at).limit(1).with_for_update(skip_locked=True).scalar_subquery()
    taken = session.scalar(sa.update(CallBack).where(CallBack.id == due, CallBack.state == "due").values(
        state="calling", attempts=CallBack.attempts + 1, provider=provider, changed_at=now).returning(CallBack.id))
    if taken is None:
        return None
    row = session.get_one(CallBack, taken, populate_existing=True)
    try:
        msisdn = vault.open(row.msisdn_sealed, "call_back.msisdn", row.id)
    except CannotOpen as error:
        log.error("nobody can be called back: %s", error)
        row.state, row.code = "failed", "cannot_open"
        return None
    return Claim(row.id, row.attempts, now + lease, msisdn)


def settle(session: Session, held: Claim, result: Accepted | SendError, now: datetime) -> str:
    """Write down how it went; a claim that is another's by now settles nothing. Returns the state.

    Only what certainly did not ring is tried again.
    """
    state, due_at = _reading(held, result, now)
    values: dict[str, object] = {"state": state, "changed_at": now}
    if isinstance(result, Accepted):
        values["provider_id"] = result.provider_id
    else:
        values["code"] = result.code[:80]
    if due_at:
        values["due_at"] = due_at
    session.execute(sa.update(CallBack).where(
        CallBack.id == held.id, CallBack.state == "calling", CallBack.attempts == held.attempt).values(**values))
    return state


def expire(session: Session, now: datetime, lease: timedelta) -> int:
    """End what came too late, and what a worker that died may have called already. Returns how many."""
    late = sa.and_(CallBack.state == "due", CallBack.asked_at < now - WITHIN)
    stranded = sa.and_(CallBack.state == "calling", CallBack.changed_at < now - lease)
    return len(session.scalars(sa.update(CallBack).where(sa.or_(late, stranded)).values(
        code=sa.case((CallBack.state == "due", "late"), else_="lease_over"), state="failed", changed_at=now)
        .returning(CallBack.id)).all())


def _reading(held: Claim, result: Accepted | SendError, now: datetime) -> tuple[str, datetime | None]:
    """The state a result leads to, and when it is due again. By our own fault nobody is given up before it is late."""
    match result:
        case Accepted():
            return "called", None
        case Misconfigured():
            return "due", now + FIRST_WAIT
        case Throttled() if held.attempt < ATTEMPTS_AT_MOST:
            return "due", now + timedelta(seconds=max(result.retry_after_s, FIRST_WAIT.total_seconds()))
        case Unavailable() if held.attempt < ATTEMPTS_AT_MOST:
            return "due", now + FIRST_WAIT * held.attempt
        case _:
            return "failed", None
