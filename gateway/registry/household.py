"""Household: who is registered, how to reach them, and who answers to a telephone number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id
from gateway.registry import suppression
from gateway.vault import Vault

# A number serves at most this many households; beyond, it is an agency's or a shop's, and proves nothing.
SHARED_BY_AT_MOST = 5
YEAR = timedelta(days=365)
ROUND_SPREAD_DAYS = 31


def _first_round(context: Any) -> date:
    """One of the 31 days that begin a year after the declaration: which one, the random end of the id says.

    What was declared in one night is then not asked in one night.
    """
    row = context.get_current_parameters()
    first: date = row["declared_on"] + YEAR
    return first + timedelta(days=row["id"].int % ROUND_SPREAD_DAYS)


class Household(Base):
    """A household as declared. `facts` holds what the index is made of; names and addresses are sealed.

    `facts` are the declaration of `declared_on`; what counts of them is `evidence.effective`. `digest` tells a
    repeated row from a changed one. On `round_on` it is asked next whether its data are still right. `changed_here`
    has, for each item that a clerk has changed since, what the extract said of it then; of an address its fingerprint.
    """

    __tablename__ = "household"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    number_blind: Mapped[bytes] = mapped_column(unique=True)
    number_sealed: Mapped[bytes]
    address_sealed: Mapped[bytes]
    area: Mapped[str] = mapped_column(sa.String(8))
    region: Mapped[int]
    commune: Mapped[str] = mapped_column(sa.String(20))
    locale: Mapped[str] = mapped_column(sa.String(8))
    registered_on: Mapped[date]
    declared_on: Mapped[date]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(sa.String(64))
    round_on: Mapped[date] = mapped_column(default=_first_round, index=True)
    changed_here: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class Member(Base):
    """A member's identity, sealed. What the index needs of a member stands in the household's facts."""

    __tablename__ = "member"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    position: Mapped[int]
    idcs_blind: Mapped[bytes] = mapped_column(index=True)
    identity_sealed: Mapped[bytes]
    declarant: Mapped[bool]


class Contact(Base):
    """A telephone of a household. `kind` is mobile or landline; a suspended one gets no text.

    `verified_at` is when it was last shown to be the household's, at the centre or by the PIN; None while it is in
    doubt (`gateway.doubt`). `ended_by` is the data update that took it off: it is kept to be told so, and counts no
    more.
    """

    __tablename__ = "contact"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    position: Mapped[int]
    msisdn_blind: Mapped[bytes] = mapped_column(index=True)
    msisdn_sealed: Mapped[bytes]
    kind: Mapped[str] = mapped_column(sa.String(8))
    consent: Mapped[bool]
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[UUID | None]


@dataclass(frozen=True)
class Address:
    """Where post reaches the household: the declarant's name first, then lines, then code and locality."""

    lines: tuple[str, ...]


# Asked on every call: made once, since making a statement costs more than the database's answer to it.
ANSWERING = (sa.select(Household, sa.func.max(Contact.verified_at)).join(Contact, Contact.household_id == Household.id)
             .where(Contact.msisdn_blind.in_(sa.bindparam("blinds", expanding=True)), Contact.ended_by.is_(None))
             .group_by(Household.id).limit(SHARED_BY_AT_MOST + 1))


def households_of(session: Session, vault: Vault, msisdn: str, *, doubted: bool = False) -> list[Household]:
    """The households that a verified contact binds to this number; none when too many share it.

    With `doubted` those as well whose contact is in doubt: they are told nothing, and may be proven by their PIN. Who
    shares the number is counted in either case.
    """
    found = session.execute(ANSWERING, {"blinds": vault.blinds(msisdn, "contact.msisdn")}).all()
    if len(found) > SHARED_BY_AT_MOST:
        return []
    return [home for home, verified_at in found if doubted or verified_at is not None]


def texted_at(session: Session, vault: Vault, household_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Each household's first mobile number that agreed to texts, is not suppressed and not in doubt (E.164)."""
    return {household_id: numbers[0] for household_id, numbers in telephones(session, vault, household_ids).items()}


def telephones(session: Session, vault: Vault, household_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """All such numbers of each household, in their order."""
    contacts = session.scalars(
        sa.select(Contact).where(Contact.household_id.in_(household_ids), Contact.kind == "mobile", Contact.consent,
                                 Contact.verified_at.is_not(None), Contact.suspended_at.is_(None),
                                 Contact.ended_by.is_(None))
        .order_by(Contact.position))
    numbers = [(contact.household_id, vault.open(contact.msisdn_sealed, "contact.msisdn", contact.id))
               for contact in contacts]
    silent = suppression.suppressed(session, vault, [msisdn for _, msisdn in numbers])
    found: dict[UUID, list[str]] = {}
    for household_id, msisdn in numbers:
        if msisdn not in silent:
            found.setdefault(household_id, []).append(msisdn)
    return found


def number_of(session: Session, vault: Vault, contact_id: UUID) -> str:
    """The number of a contact (E.164)."""
    return vault.open(session.get_one(Contact, contact_id).msisdn_sealed, "contact.msisdn", contact_id)


def suspend(session: Session, vault: Vault, msisdn: str, now: datetime, why: suppression.Why = "stop",
            by: str = "telephone") -> None:
    """Stop texts to this number, where it is a contact now and where it becomes one. Letters are not touched."""
    suppression.suppress(session, vault, msisdn, why, by, now)
    _mark(session, vault, msisdn, now)


def resume(session: Session, vault: Vault, msisdn: str) -> UUID | None:
    """Let texts go to this number again. Returns the name under which it was suppressed, if it was."""
    _mark(session, vault, msisdn, None)
    return suppression.lift(session, vault, msisdn)


def _mark(session: Session, vault: Vault, msisdn: str, suspended_at: datetime | None) -> None:
    session.execute(sa.update(Contact).where(Contact.msisdn_blind.in_(vault.blinds(msisdn, "contact.msisdn")))
                    .values(suspended_at=suspended_at))


def fingerprint(vault: Vault, lines: Sequence[str], commune: str, area: str) -> str:
    """Of an address, whose first line is a name that is no part of it; to tell whether an extract says another."""
    return vault.blind(json.dumps([*lines[1:], commune, area]), "household.address").hex()


def address_of(vault: Vault, household: Household) -> Address:
    """The lines for the window of an envelope."""
    return Address(tuple(json.loads(vault.open(household.address_sealed, "household.address", household.id))))
