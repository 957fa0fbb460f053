"""Intake: rows of an extract become households, scores and decisions. What is there already stays as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from random import SystemRandom
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import new_id
from gateway.registry.clock import day_of
from gateway.registry.communes import commune
from gateway.registry.events import Event, IndexAssigned
from gateway.registry.extract import Row
from gateway.registry.household import Contact, Household, Member
from gateway.registry.numbers import new_number
from gateway.registry.registration import Registration
from gateway.registry.scoring import Scorer
from gateway.vault import Vault

Tables = dict[type[Any], list[dict[str, Any]]]
IDENTITY = ("idcs", "name_ar", "name_latin")
CHANCE = SystemRandom()
FACTS = ("area", "region", "dwelling", "equipment", "property", "spending")


@dataclass
class Stored:
    """What became of a batch: households new, changed or as before, and those whose index failed."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    unscored: int = 0
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Intake:
    """Loads rows and has them scored."""

    vault: Vault
    scorer: Scorer

    def store(self, session: Session, rows: Sequence[Row], now: datetime) -> Stored:
        """Load a batch in the caller's transaction. A row seen before with the same content changes nothing."""
        known, stored, today = self._known(session, rows), Stored(), day_of(now)
        tables: Tables = {model: [] for model in (Household, Registration, Member, Contact)}
        changed, new = [], []
        for row in rows:
            before = known.get(self._blind(row))
            if before is not None and before.digest == row.content_digest:
                stored.unchanged += 1
                continue
            if before is None:
                household_id, stopped = new_id(), set[bytes]()
                tables[Household].append(self._household(household_id, row, today))
                tables[Registration].append(_registration(household_id, self._blind(row), row, now))
                new.append(household_id)
            else:
                household_id = before.id
                stopped = self._replace(session, household_id, row, today)
                changed.append(household_id)
            self._people(household_id, row, stopped, now, tables)
        for model, lines in tables.items():
            if lines:
                session.execute(sa.insert(model), lines)
        stored.new, stored.changed = len(new), len(changed)
        for ids, cause in ((new, "registration"), (changed, "data_update")):
            if ids:
                scored = self.scorer.score(session, _homes(session, ids), cause, now)
                stored.events += scored.events
                stored.unscored += scored.failed
        assigned = [event.household_id for event in stored.events if isinstance(event, IndexAssigned)]
        session.execute(sa.update(Registration).where(Registration.household_id.in_(assigned))
                        .values(state="scored", since=now, scored_at=now))
        return stored

    def _blind(self, row: Row) -> bytes:
        return self.vault.blind(row.household["household_number"], "household.number")

    def _known(self, session: Session, rows: Sequence[Row]) -> Mapping[bytes, Household]:
        keys = {blind: self._blind(row) for row in rows
                for blind in self.vault.blinds(row.household["household_number"], "household.number")}
        found = session.scalars(sa.select(Household).where(Household.number_blind.in_(list(keys))))
        return {keys[household.number_blind]: household for household in found}

    def _household(self, household_id: UUID, row: Row, today: date) -> dict[str, Any]:
        given = row.household
        number = given["household_number"]
        return {
            "id": household_id, "number_blind": self._blind(row),
            "number_sealed": self.vault.seal(number, "household.number", household_id),
            "address_sealed": self.vault.seal(json.dumps(_window(given)), "household.address", household_id),
            "area": given["area"], "region": given["region"], "commune": given["commune"],
            "locale": given["language"], "registered_on": _registered(row), "declared_on": today,
            "facts": _facts(given), "digest": row.content_digest,
        }

    def _replace(self, session: Session, household_id: UUID, row: Row, today: date) -> set[bytes]:
        """A changed row replaces the declaration. Returns the telephones that had stopped: they stay so."""
        stopped = set(session.scalars(sa.select(Contact.msisdn_blind).where(
            Contact.household_id == household_id, Contact.suspended_at.is_not(None))))
        for model in (Member, Contact):
            session.execute(sa.delete(model).where(model.household_id == household_id))
        values = self._household(household_id, row, today)
        session.execute(sa.update(Household).where(Household.id == household_id)
                        .values({key: value for key, value in values.items() if key != "id"}))
        return stopped

    def _people(self, household_id: UUID, row: Row, stopped: set[bytes], now: datetime, tables: Tables) -> None:
        for position, member in enumerate(row.household["members"], 1):
            member_id = new_id()
            identity = json.dumps({key: member[key] for key in IDENTITY}, ensure_ascii=False)
            tables[Member].append({
                "id": member_id, "household_id": household_id, "position": position,
                "idcs_blind": self.vault.blind(member["idcs"], "member.idcs"),
                "identity_sealed": self.vault.seal(identity, "member.identity", member_id),
                "declarant": position == row.household["declarant"]})
        for position, declared in enumerate(row.telephones, 1):
            msisdn, contact_id = declared.telephone.msisdn, new_id()
            tables[Contact].append({
                "id": contact_id, "household_id": household_id, "position": position,
                "msisdn_blind": self.vault.blind(msisdn, "contact.msisdn"),
                "msisdn_sealed": self.vault.seal(msisdn, "contact.msisdn", contact_id),
                "kind": declared.telephone.kind, "consent": declared.consent,
                "verified_at": datetime.combine(_registered(row), time(), UTC),
                "suspended_at": None if stopped.isdisjoint(self.vault.blinds(msisdn, "contact.msisdn")) else now})


def _homes(session: Session, ids: Sequence[UUID]) -> list[Household]:
    """In the order of the ids, as the database has them now."""
    found = {home.id: home for home in session.scalars(
        sa.select(Household).where(Household.id.in_(ids)).execution_options(populate_existing=True))}
    return [found[household_id] for household_id in ids]


def _registration(household_id: UUID, blind: bytes, row: Row, now: datetime) -> dict[str, Any]:
    return {"id": new_id(), "household_id": household_id, "household_blind": blind, "state": "registered",
            "number": new_number("registration", CHANCE), "since": now, "registered_on": _registered(row),
            "missing": [], "reason": None}


def _registered(row: Row) -> date:
    return date.fromisoformat(row.household["registered_on"])


def _facts(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the index and the conditions look at: no name, no identifier, no address, no telephone."""
    members = [{key: value for key, value in member.items() if key not in IDENTITY} for member in given["members"]]
    return {**{key: given[key] for key in FACTS}, "members": members}


def _window(given: Mapping[str, Any]) -> list[str]:
    """The lines of an address by the Moroccan norm NM 04.04.100: name, lines, postal code and locality."""
    declarant = given["members"][given["declarant"] - 1]
    name = declarant["name_latin" if given["language"] == "fr-MA" else "name_ar"]
    place = given["address"]
    known = commune(given["commune"])
    locality = place.get("locality") or (known.name_ar if known else "")
    return [name, *place["lines"], " ".join(part for part in (place.get("postal_code"), locality) if part)]
