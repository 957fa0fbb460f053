"""Audit: who saw or changed what, and why. Append-only; each entry is chained to the one before by a keyed hash.

A key outside the database (settings, SECRET_KEYS) makes the chain: whoever can write to the tables still cannot
make an entry that fits. A household stands here as a blind index only, so that erasing it breaks nothing.

There are some strands, so that transactions do not all wait for one row; a transaction writes to one strand.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

import rfc8785
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, insert_new, new_id
from gateway.vault import Vault

STRANDS = 16


class AuditEntry(Base):
    """One act. `link` is the keyed hash of the entry before and of this one; `detail` holds nothing personal."""

    __tablename__ = "audit_entry"
    __table_args__ = (sa.UniqueConstraint("strand", "position"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    strand: Mapped[int]
    position: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(sa.String(80))
    act: Mapped[str] = mapped_column(sa.String(40), index=True)
    household_blind: Mapped[bytes | None] = mapped_column(index=True)
    subject: Mapped[str | None] = mapped_column(sa.String(80), index=True)
    why: Mapped[str | None] = mapped_column(sa.String(200))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    link: Mapped[bytes]


class AuditStrand(Base):
    """The end of one strand: how many entries it has and the last link."""

    __tablename__ = "audit_strand"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    length: Mapped[int]
    link: Mapped[bytes]


def record(session: Session, vault: Vault, act: str, *, by: str, now: datetime, household_id: UUID | None = None,
           subject: UUID | str | None = None, why: str | None = None, **detail: Any) -> None:
    """Write down an act in the caller's transaction. `by` is who acted: `household`, `system`, or a clerk's name.

    `act` is noun.verb (`review.decided`); `subject` the row acted on; `detail` names of items and states, never a
    value of a household.
    """
    strand = session.info.setdefault("audit_strand", secrets.randbelow(STRANDS))
    end = _end(session, strand)
    entry = {"id": new_id(), "strand": strand, "position": end.length + 1, "at": now, "by": by, "act": act,
             "household_blind": vault.blind(str(household_id), "audit.household") if household_id else None,
             "subject": str(subject) if subject else None, "why": why, "detail": detail}
    entry["link"] = vault.blind(_text(end.link, entry), "audit.link")
    session.execute(sa.insert(AuditEntry), [entry])
    end.length, end.link = end.length + 1, entry["link"]
    session.flush()


def _end(session: Session, strand: int) -> AuditStrand:
    """The strand's end, held until the transaction ends."""
    held = sa.select(AuditStrand).where(AuditStrand.id == strand).with_for_update().execution_options(
        populate_existing=True)
    found = session.scalar(held)
    if found is None:
        insert_new(session, AuditStrand, [{"id": strand, "length": 0, "link": b""}])
        found = session.scalars(held).one()
    return found


def _text(before: bytes, entry: dict[str, Any]) -> str:
    """What a link is the hash of: the link before, and the entry as canonical JSON (RFC 8785)."""
    content = {key: entry[key] for key in ("strand", "position", "by", "act", "subject", "why", "detail")}
    blind = entry["household_blind"]
    content |= {"at": entry["at"].isoformat(), "household": blind.hex() if blind else None}
    return before.hex() + rfc8785.dumps(content).decode()
