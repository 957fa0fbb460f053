"""Errands: what a programme asks us to tell a household; once, however often its machine asks.

A machine that was not answered asks again. It names each request by a key, kept for a day, and may name the message by
a reference of its own, kept for good. Both are written with the errand in one transaction: neither is ever there
without it. Of a key, a reference and a request only keyed fingerprints are kept: a reference may well be a household's
number, which whoever has the tables could guess from a plain digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

import rfc8785
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry import registration
from gateway.registry.household import Household
from gateway.vault import Vault

KEY_KEPT = timedelta(hours=24)


class Errand(Base):
    """A notice that a programme (`client`) has a household told. `tell_by` is the last day on which that makes sense.

    `reference_blind` is the fingerprint of the client and its reference: of a reference there is one errand.
    """

    __tablename__ = "errand"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    client: Mapped[str] = mapped_column(sa.String(40))
    reference_blind: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32), unique=True)
    body_blind: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    notice: Mapped[str] = mapped_column(sa.String(40))
    tell_by: Mapped[date | None]
    accepted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IdempotencyKey(Base):
    """A key under which a client asked, as the fingerprint of both, and the errand that came of it."""

    __tablename__ = "idempotency_key"

    id: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    errand_id: Mapped[UUID]
    body_blind: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    kept_until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class KeyUsed(Exception):
    """This key came with another request: a new request needs a new key."""


class ReferenceUsed(Exception):
    """This client has used the reference for another message: a new message needs a new one."""


class HouseholdUnknown(Exception):
    """No household that takes part in the register has this number: look at the list it comes from."""


@dataclass(frozen=True)
class Asked:
    """A request of a client's, well-formed. `household` is its ten digits."""

    client: str
    key: str = field(repr=False)
    household: str = field(repr=False)
    notice: str
    reference: str | None = field(repr=False, default=None)
    tell_by: date | None = None

    @property
    def body(self) -> str:
        """What was asked for, in one spelling (canonical JSON, RFC 8785)."""
        return rfc8785.dumps([self.household, self.notice, self.reference,
                              self.tell_by.isoformat() if self.tell_by else None]).decode()


@dataclass(frozen=True)
class Given:
    """The errand of a request. It is `new`, or the same was asked for before."""

    errand: Errand
    new: bool


def ask(session: Session, vault: Vault, asked: Asked, now: datetime) -> Given:
    """Take the request for an errand. Of several at once, under one key or one reference, one makes an errand.

    Raises `KeyUsed`, `ReferenceUsed` or `HouseholdUnknown`; the transaction is then to be given up, and leaves nothing.
    """
    bodies, errand_id = vault.blinds(asked.body, "errand.body"), new_id()
    key, *older = vault.blinds(f"{asked.client}\n{asked.key}", "errand.key")
    known = session.scalar(sa.select(IdempotencyKey).where(IdempotencyKey.id.in_(older))) if older else None
    # Whoever else writes this key at this moment is waited for.
    if known or not insert_new(session, IdempotencyKey, [{"id": key, "errand_id": errand_id, "body_blind": bodies[0],
                                                          "kept_until": now + KEY_KEPT}]):
        known = known or session.get_one(IdempotencyKey, key)
        if known.body_blind not in bodies:
            raise KeyUsed
        return Given(session.get_one(Errand, known.errand_id), new=False)
    references = vault.blinds(f"{asked.client}\n{asked.reference}", "errand.reference") if asked.reference else []
    of_it = sa.select(Errand).where(Errand.reference_blind.in_(references))
    first = session.scalar(of_it) if len(references) > 1 else None
    if first is None and insert_new(session, Errand, [{
            "id": errand_id, "client": asked.client, "reference_blind": next(iter(references), None),
            "body_blind": bodies[0],
            "household_id": _household(session, vault, asked.household), "notice": asked.notice,
            "tell_by": asked.tell_by, "accepted_at": now}]):
        return Given(session.get_one(Errand, errand_id), new=True)
    first = first or session.scalars(of_it).one()
    if first.body_blind not in bodies:
        raise ReferenceUsed
    session.execute(sa.update(IdempotencyKey).where(IdempotencyKey.id == key).values(errand_id=first.id))
    return Given(first, new=False)


def find(session: Session, client: str, errand_id: UUID) -> Errand | None:
    """This client's errand of this name."""
    return session.scalar(sa.select(Errand).where(Errand.id == errand_id, Errand.client == client))


def forget_keys(session: Session, now: datetime) -> None:
    """Let go of the keys whose day is over: the same key names a new request then."""
    session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.kept_until <= now))


def _household(session: Session, vault: Vault, number: str) -> UUID:
    found = session.scalar(sa.select(Household.id).where(
        Household.number_blind.in_(vault.blinds(number, "household.number"))))
    if found is None or registration.standing_out(session, [found]):
        raise HouseholdUnknown
    return found
