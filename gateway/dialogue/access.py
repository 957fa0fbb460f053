"""Access: a PIN that proves a household over the telephone, and the lock that keeps a thief from guessing it.

A failure is counted before the PIN is looked at, for the number and for every household it may mean. Five in
a row lock for 24 hours. A wrong PIN, a locked household and a number nobody knows take the same time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new
from gateway.registry.household import Household
from gateway.vault import Vault

FAILURES = 5
LOCKED_FOR = timedelta(hours=24)
NOBODY = UUID(int=0)
DIGITS = 6


class Credential(Base):
    """A household's PIN, as a peppered hash. In clear it stands on one sheet of paper and nowhere else."""

    __tablename__ = "credential"

    id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), primary_key=True)
    pin_hash: Mapped[str] = mapped_column(sa.String(200))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lock(Base):
    """Failures in a row of a number or a household, under its blind index."""

    __tablename__ = "access_lock"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class IssuedPin:
    """A new PIN and what will be kept of it. Made before the transaction: hashing takes longer than writing."""

    household_id: UUID
    pin: str = field(repr=False)
    pin_hash: str = field(repr=False)

    @classmethod
    def new(cls, vault: Vault, household_id: UUID) -> IssuedPin:
        """The caller puts it on paper and forgets it."""
        pin = new_pin()
        return cls(household_id, pin, vault.hash_pin(pin, household_id))


def keep_pins(session: Session, vault: Vault, issued: Iterable[IssuedPin], now: datetime) -> None:
    """From now on these open their households; the ones before do not, and old failures are forgotten."""
    for one in issued:
        session.merge(Credential(id=one.household_id, pin_hash=one.pin_hash, issued_at=now))
        _forget(session, [_subject(vault, str(one.household_id))])


def new_pin() -> str:
    """Six random digits, but none that a thief tries first: repeats, runs, pairs, and years."""
    while True:
        pin = f"{secrets.randbelow(10 ** DIGITS):0{DIGITS}d}"
        steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
        if len(set(pin)) > 2 and len(steps) > 1 and pin[:2] not in ("19", "20") and pin[:3] != pin[3:]:
            return pin


def check_pin(session: Session, vault: Vault, msisdn: str, candidates: list[Household], pin: str,
              now: datetime) -> Household | Literal["wrong", "locked"]:
    """The household that this number and PIN prove, or why not. Commit even when it fails: it counts."""
    caller = _subject(vault, msisdn)
    subjects = {household.id: _subject(vault, str(household.id)) for household in candidates}
    locked = _count(session, [caller, *subjects.values()], now)
    hashes = {c.id: c.pin_hash for c in session.scalars(
        sa.select(Credential).where(Credential.id.in_([household.id for household in candidates])))}
    if not candidates:
        vault.hash_pin(pin, NOBODY)
    proven = [household for household in candidates
              if _proves(vault, household.id, hashes.get(household.id), pin) and subjects[household.id] not in locked]
    if caller in locked or (subjects and locked.issuperset(subjects.values())):
        return "locked"
    if not proven:
        return "wrong"
    _forget(session, [caller, *subjects.values()])
    return proven[0]


def _proves(vault: Vault, household_id: UUID, stored: str | None, pin: str) -> bool:
    """One hash is computed whoever calls, so that the time of the answer tells nothing."""
    if stored is None:
        vault.hash_pin(pin, household_id)
        return False
    return vault.proves_pin(stored, pin, household_id)


def _count(session: Session, subjects: list[UUID], now: datetime) -> set[UUID]:
    """Count one more failure for each, in one statement each; returns those that were locked already."""
    insert_new(session, Lock, [{"id": subject, "failures": 0} for subject in subjects])
    locked = set(session.scalars(sa.select(Lock.id).where(Lock.id.in_(subjects), Lock.locked_until > now)))
    free = [subject for subject in subjects if subject not in locked]
    session.execute(sa.update(Lock).where(Lock.id.in_(free)).values(
        failures=sa.case((Lock.failures >= FAILURES, 1), else_=Lock.failures + 1), locked_until=None))
    session.execute(sa.update(Lock).where(Lock.id.in_(free), Lock.failures >= FAILURES)
                    .values(locked_until=now + LOCKED_FOR))
    return locked


def _forget(session: Session, subjects: list[UUID]) -> None:
    session.execute(sa.update(Lock).where(Lock.id.in_(subjects)).values(failures=0, locked_until=None))


def _subject(vault: Vault, name: str) -> UUID:
    return UUID(bytes=vault.blind(name, "access.subject")[:16])
