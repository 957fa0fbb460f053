"""Suppression: telephone numbers that get no texts, whoever they are a contact of, until START is written from them.

A contact comes and goes with its household; what the holder of the number said of texts stays here. The number itself
is not kept: a row is its fingerprint as a message bears it, one row for each key, so that a number stays suppressed
while keys are being changed, and the outbox finds it without opening anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, among, insert_new, new_id
from gateway.registry.clock import day_of
from gateway.vault import Vault

# stop: its holder wrote STOP, or chose letters. provider: the provider refuses to text it. opt_out_callback: the
# provider told us so by itself. not_mine: its holder knows none of its households.
Why = Literal["stop", "provider", "opt_out_callback", "not_mine"]
# The column whose fingerprints these are.
COLUMN = "message.to"
AT_ONCE = 10_000


class Suppression(Base):
    """A number under one key, by its fingerprint; `number_id` is the same in all rows of a number."""

    __tablename__ = "suppression"

    id: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    number_id: Mapped[UUID] = mapped_column(index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(sa.String(20))
    by: Mapped[str] = mapped_column(sa.String(80))


def suppress(session: Session, vault: Vault, msisdn: str, why: Why, by: str, now: datetime) -> None:
    """No more texts to this number (E.164). Said again, the first time counts; a key that is new since is made up."""
    known = find(session, vault, msisdn)
    said = ({"number_id": known.number_id, "since": known.since, "why": known.why, "by": known.by} if known else
            {"number_id": new_id(), "since": now, "why": why, "by": by})
    insert_new(session, Suppression, [{"id": blind, **said} for blind in vault.blinds(msisdn, COLUMN)])


def lift(session: Session, vault: Vault, msisdn: str) -> UUID | None:
    """Texts may go to this number again. Returns the name under which it was suppressed; None where it was not."""
    known = find(session, vault, msisdn)
    if known is None:
        return None
    session.execute(sa.delete(Suppression).where(sa.or_(
        Suppression.number_id == known.number_id, Suppression.id.in_(vault.blinds(msisdn, COLUMN)))))
    return known.number_id


def find(session: Session, vault: Vault, msisdn: str) -> Suppression | None:
    """Since when this number is suppressed, and why; None where it is not."""
    return session.scalars(sa.select(Suppression).where(Suppression.id.in_(vault.blinds(msisdn, COLUMN)))
                           .order_by(Suppression.since)).first()


def suppressed(session: Session, vault: Vault, msisdns: Iterable[str]) -> set[str]:
    """Those of these numbers that get no texts: one question for all."""
    of = {blind: msisdn for msisdn in msisdns for blind in vault.blinds(msisdn, COLUMN)}
    if not of:
        return set()
    return {of[blind] for blind in session.scalars(sa.select(Suppression.id).where(
        among(session, Suppression.id, list(of))))}


def is_suppressed(to_blind: InstrumentedAttribute[bytes]) -> sa.ColumnElement[bool]:
    """Whether the number with this fingerprint, in a row of the outbox, gets no texts."""
    return sa.exists().where(Suppression.id == to_blind)


def counts(session: Session) -> Counter[tuple[str, str]]:
    """How many numbers are suppressed, by the month in which they were (`2026-11`) and the reason."""
    found: Counter[tuple[str, str]] = Counter()
    numbers = sa.select(Suppression.number_id, Suppression.why, sa.func.min(Suppression.since)).group_by(
        Suppression.number_id, Suppression.why)
    for some in session.execute(numbers, execution_options={"yield_per": AT_ONCE}).partitions():
        found.update((f"{day_of(since):%Y-%m}", why) for _, why, since in some)
    return found
