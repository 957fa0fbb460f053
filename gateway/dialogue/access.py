"""Access: a PIN that proves a household over the telephone, and the lock that keeps a thief from guessing it.

Five wrong PINs in a row lock the number, and every household they may have meant, for 24 hours. The rows that
count are held from before a PIN is looked at until the commit: tries pass one at a time, and however many come
at once, five are looked at. A wrong PIN, a locked household and a number nobody knows answer alike.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new
from gateway.registry import audit
from gateway.registry.household import Household
from gateway.vault import Vault

FAILURES = 5
LOCKED_FOR = timedelta(hours=24)
NOBODY = UUID(int=0)
DIGITS = 6


class Credential(Base):
    """A household's PIN, as a peppered hash. In clear it stands on one sheet of paper and nowhere else.

    A new one (`next_hash`) is days in the post: the one before opens until the new one is used.
    """

    __tablename__ = "credential"

    id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), primary_key=True)
    pin_hash: Mapped[str] = mapped_column(sa.String(200))
    next_hash: Mapped[str | None] = mapped_column(sa.String(200))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lock(Base):
    """Failures in a row of a number or a household, under its blind index.

    A wrong try of a session has a row as well, without failures: told again by the network, it counts once.
    """

    __tablename__ = "access_lock"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def holds(self, now: datetime) -> bool:
        """Whether nothing is looked at for the time being."""
        return self.locked_until is not None and self.locked_until > now

    def count(self, now: datetime) -> None:
        """One more failure; after a lock that has run out, the first."""
        self.failures = 1 if self.locked_until else self.failures + 1
        self.locked_until = now + LOCKED_FOR if self.failures >= FAILURES else None


# Asked for every PIN: made once, since making a statement costs more than the database's answer to it.
HOLD = (sa.select(Lock).where(Lock.id.in_(sa.bindparam("subjects", expanding=True))).order_by(Lock.id)
        .with_for_update().execution_options(populate_existing=True))
CREDENTIALS = sa.select(Credential).where(Credential.id.in_(sa.bindparam("households", expanding=True)))


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
    """From now on these open their households, and old failures are forgotten."""
    issued = list(issued)
    ids = [one.household_id for one in issued]
    there = {credential.id: credential for credential in session.scalars(CREDENTIALS, {"households": ids})}
    for one in issued:
        if one.household_id in there:
            there[one.household_id].next_hash, there[one.household_id].issued_at = one.pin_hash, now
        else:
            session.add(Credential(id=one.household_id, pin_hash=one.pin_hash, issued_at=now))
    _forget(session, [_subject(vault, str(household_id)) for household_id in ids])


def withdraw_pin(session: Session, household_id: UUID, printed_at: datetime) -> bool:
    """A sheet that was printed at that moment is spoilt: a PIN that it may bear opens no more. Returns whether it did.

    It was the sheet's if it was issued at that moment. Where a newer one is in the post, the one before may have been
    the sheet's: the newer alone opens from now on, for whoever asked for it does without the one before.
    """
    kept = session.get(Credential, household_id, with_for_update=True)
    if kept is None or kept.issued_at < printed_at:
        return False
    if kept.issued_at > printed_at:
        kept.pin_hash, kept.next_hash = kept.next_hash or kept.pin_hash, None
        return False
    if kept.next_hash:
        kept.next_hash = None
    else:
        session.delete(kept)
    return True


def with_pin(session: Session, household_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these households that have been given a PIN already."""
    return set(session.scalars(sa.select(Credential.id).where(Credential.id.in_(household_ids))))


def new_pin() -> str:
    """Six random digits, but none that a thief tries first."""
    while is_weak(pin := f"{secrets.randbelow(10 ** DIGITS):0{DIGITS}d}"):
        continue
    return pin


def is_weak(pin: str, msisdn: str = "") -> bool:
    """Whether a thief tries this first: repeats, runs, pairs, years, and the end of the telephone's number."""
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return (len(set(pin)) <= 2 or len(steps) == 1 or pin[:2] in ("19", "20") or pin[:3] == pin[3:]
            or msisdn.endswith(pin))


def change_pin(session: Session, vault: Vault, household_id: UUID, pin_hash: str, now: datetime) -> None:
    """The household has chosen a PIN of its own: no other opens from now on, be it in the post."""
    session.execute(sa.update(Credential).where(Credential.id == household_id)
                    .values(pin_hash=pin_hash, next_hash=None, issued_at=now))
    audit.record(session, vault, "pin.changed", by="household", now=now, household_id=household_id,
                 subject=household_id)


def check_pin(session: Session, vault: Vault, msisdn: str, candidates: list[Household], pin: str,
              conversation: str, now: datetime, doubted: Collection[UUID] = ()
              ) -> Household | Literal["wrong", "locked"]:
    """The household that this number and PIN prove, or why not. Commit even when it fails: it counts.

    `conversation` names the session: a wrong PIN that is told again in it is wrong again, and counted once. A household
    whose number this may no longer be (`doubted`) is not locked by whoever has it now.
    """
    caller = _subject(vault, msisdn)
    subjects = {household.id: _subject(vault, str(household.id)) for household in candidates}
    locks = _held(session, [caller, *subjects.values()])
    proven = _proven(session, vault, candidates, pin)
    free = [] if locks[caller].holds(now) else [
        household for household in candidates if not locks[subjects[household.id]].holds(now)]
    opened = next((household for household in free if household.id in proven), None)
    if opened:
        # Of several households on one number, only the one that was proven: the others may be guessed at.
        if any(locks[subject].failures or locks[subject].locked_until for subject in (caller, subjects[opened.id])):
            _forget(session, [caller, subjects[opened.id]])
        return opened
    tried = _subject(vault, f"{conversation}/{pin}")
    if session.get(Lock, tried):
        return "wrong"
    if locks[caller].holds(now):
        return "locked"
    for subject in (caller, *(subjects[household.id] for household in free if household.id not in doubted)):
        locks[subject].count(now)
    insert_new(session, Lock, [{"id": tried, "failures": 0}])
    return "wrong"


def _held(session: Session, subjects: list[UUID]) -> dict[UUID, Lock]:
    """The rows that count for these, this transaction's until it ends; in one order, so that two never deadlock."""
    insert_new(session, Lock, [{"id": subject, "failures": 0} for subject in sorted(subjects)])
    return {lock.id: lock for lock in session.scalars(HOLD, {"subjects": subjects})}


def _proven(session: Session, vault: Vault, candidates: list[Household], pin: str) -> set[UUID]:
    """The households that this PIN belongs to. As much is computed for a number that nobody has: the time it takes
    does not tell a stranger's number from another."""
    ids = [household.id for household in candidates]
    credentials = {one.id: one for one in session.scalars(CREDENTIALS, {"households": ids})}
    return {household_id for household_id in ids or [NOBODY]
            if _proves(vault, household_id, credentials.get(household_id), pin)}


def _proves(vault: Vault, household_id: UUID, credential: Credential | None, pin: str) -> bool:
    stored = [one for one in (credential.pin_hash, credential.next_hash) if one] if credential else []
    proven = vault.proves_pin(stored, pin, household_id)
    if credential and len(proven) > 1 and proven[1]:
        credential.pin_hash, credential.next_hash = stored[1], None
    return any(proven)


def _forget(session: Session, subjects: list[UUID]) -> None:
    session.execute(sa.update(Lock).where(Lock.id.in_(subjects)).values(failures=0, locked_until=None))


def _subject(vault: Vault, name: str) -> UUID:
    return UUID(bytes=vault.blind(name, "access.subject")[:16])
