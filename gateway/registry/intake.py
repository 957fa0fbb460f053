"""Intake: rows of an extract become households, scores and decisions. What is there already stays as it is.

There are two ways in. An import brings data that the registry has verified: they are scored at once. A registration
brings what a household declares: partner bodies are asked first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import insert, new_id
from gateway.registry import evidence, inquiry, registration
from gateway.registry.clock import day_of
from gateway.registry.communes import commune
from gateway.registry.events import Event, IndexAssigned
from gateway.registry.extract import Refusal, Row
from gateway.registry.household import Contact, Household, Member, fingerprint
from gateway.registry.registration import Newcomer, Registration
from gateway.registry.scoring import Scorer
from gateway.vault import Vault

Tables = dict[type[Any], list[dict[str, Any]]]
IDENTITY = ("idcs", "name_ar", "name_latin")
FACTS = ("area", "region", "dwelling", "equipment", "property", "spending")


@dataclass
class Stored:
    """What became of a batch: households new, changed or as before, and those whose index failed.

    `asked` are those that partner bodies are asked about; `out` those withdrawn or struck off: neither scored nor told.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    unscored: int = 0
    asked: int = 0
    out: int = 0
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Intake:
    """Loads rows and has them scored."""

    vault: Vault
    scorer: Scorer

    def store(self, session: Session, rows: Sequence[Row], now: datetime) -> Stored:
        """Load verified rows in the caller's transaction. A row seen before with the same content changes nothing."""
        return self._take(session, rows, now, verified=True)

    def register(self, session: Session, rows: Sequence[Row], now: datetime) -> Stored:
        """Load what households declare: partner bodies are asked about the new ones, and nothing is scored yet.

        Who had withdrawn is back. Who was struck off is not: a clerk reinstates.
        """
        return self._take(session, rows, now, verified=False)

    def pre_register(self, session: Session, refusals: Sequence[Refusal], now: datetime) -> int:
        """Keep those of these households that wait for a member's identifier alone. Returns how many wait."""
        return registration.pre_register(session, self.vault, [
            Newcomer(one.waiting.household_number, one.waiting.registered_on, missing=one.waiting.missing)
            for one in refusals if one.waiting], now)

    def _take(self, session: Session, rows: Sequence[Row], now: datetime, *, verified: bool) -> Stored:
        self._take_turns(session, rows)
        known, stored = self._known(session, rows), Stored()
        states = registration.states(session, [home.id for home in known.values()])
        tables: Tables = {model: [] for model in (Household, Member, Contact)}
        newcomers: list[Newcomer] = []
        changed: list[UUID] = []
        back: list[UUID] = []
        for row in rows:
            before = known.get(self._blind(row))
            returns = before is not None and states.get(before.id) == "withdrawn" and not verified
            if before is None:
                newcomers.append(self._add(row, now, tables))
            elif returns or before.digest != row.content_digest:
                self._replace(session, before, row, now, tables, verified=verified)
                (back if returns else changed).append(before.id)
            else:
                stored.unchanged += 1
        for model, lines in tables.items():
            insert(session, model, lines)
        received = registration.receive(session, self.vault, newcomers, now)
        stored.new, stored.changed = len(newcomers), len(changed) + len(back)
        registration.come_back(session, self.vault, back, now)
        stored.asked = len(back)
        new = [event.household_id for event in received]
        if verified:
            self._score(session, new, "registration", now, stored)
        else:
            stored.events += received
            self._ask(session, new, now, stored)
        self._follow_up(session, changed, states, now, stored, verified=verified)
        return stored

    def _follow_up(self, session: Session, changed: Sequence[UUID], states: Mapping[UUID, str], now: datetime,
                   stored: Stored, *, verified: bool) -> None:
        """What a new declaration brings about depends on where the household stands."""
        asked = ("verifying",) if verified else registration.UNSCORED
        stored.out = sum(states.get(one) in registration.OUT for one in changed)
        self._ask(session, [one for one in changed if states.get(one) in asked], now, stored)
        self._score(session, [one for one in changed if states.get(one) not in (*asked, *registration.OUT)],
                    "data_update", now, stored)

    def _ask(self, session: Session, ids: Sequence[UUID], now: datetime, stored: Stored) -> None:
        if ids:
            registration.verify(session, ids, now)
            stored.asked += len(ids)

    def _score(self, session: Session, ids: Sequence[UUID], cause: str, now: datetime, stored: Stored) -> None:
        if not ids:
            return
        scored = self.scorer.score(session, _homes(session, ids), cause, now)
        stored.events += scored.events
        stored.unscored += scored.failed
        registration.scored(session, [one.household_id for one in scored.events if isinstance(one, IndexAssigned)], now)

    def _blind(self, row: Row) -> bytes:
        return self.vault.blind(row.household["household_number"], "household.number")

    def _take_turns(self, session: Session, rows: Sequence[Row]) -> None:
        """Two files with one household are taken one after the other, also while it has no row that could be held.

        The locks are taken in one order, and before any row is held. SQLite has one writer at a time anyway.
        """
        if session.get_bind().dialect.name == "postgresql":
            keys = sorted({int.from_bytes(self._blind(row)[:8], "big", signed=True) for row in rows})
            session.execute(sa.text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"),
                            {"keys": keys})

    def _known(self, session: Session, rows: Sequence[Row]) -> Mapping[bytes, Household]:
        keys = {blind: self._blind(row) for row in rows
                for blind in self.vault.blinds(row.household["household_number"], "household.number")}
        found = session.scalars(sa.select(Household).where(Household.number_blind.in_(list(keys)))
                                .order_by(Household.id).with_for_update(key_share=True).execution_options(populate_existing=True))
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

    def _add(self, row: Row, now: datetime, tables: Tables) -> Newcomer:
        household_id = new_id()
        tables[Household].append(self._household(household_id, row, day_of(now)))
        tables[Member] += self._members(household_id, row)
        tables[Contact] += self._contacts(household_id, row, {}, now)
        return Newcomer(row.household["household_number"], _registered(row), household_id)

    def _replace(self, session: Session, home: Household, row: Row, now: datetime, tables: Tables, *,
                 verified: bool) -> None:
        """A changed row replaces the declaration. Telephones that it names again stay as they are: stopped, in doubt.

        What a clerk has changed here stays as long as an extract says of it what it said then: it is older. What a
        household declares anew counts as it says.

        A row that still names a number which the household has since given up is older than that change: its
        telephones do not count.
        """
        household_id = home.id
        self._follow_members(session, household_id, row)
        session.execute(sa.delete(Member).where(Member.household_id == household_id))
        tables[Member] += self._members(household_id, row)
        contacts = session.scalars(sa.select(Contact).where(Contact.household_id == household_id)).all()
        declared = {blind for one in row.telephones for blind in self._phone_blinds(one.telephone.msisdn)}
        if not any(contact.ended_by and contact.msisdn_blind in declared for contact in contacts):
            session.execute(sa.delete(Contact).where(Contact.household_id == household_id, Contact.ended_by.is_(None)))
            before = {contact.msisdn_blind: contact for contact in contacts}
            tables[Contact] += self._contacts(household_id, row, before, now)
        values = self._household(household_id, row, day_of(now))
        values["changed_here"] = self._carry_over(home, row, values) if verified else {}
        session.execute(sa.update(Household).where(Household.id == household_id)
                        .values({key: value for key, value in values.items() if key != "id"}))
        session.execute(sa.update(Registration).where(Registration.household_id == household_id)
                        .values(household_blind=values["number_blind"]))

    def _carry_over(self, home: Household, row: Row, values: dict[str, Any]) -> dict[str, Any]:
        """Put into `values` what was changed here and the extract does not know yet. Returns what that is."""
        facts, given = values["facts"], row.household
        said = {item: facts[section].get(name) for item in home.changed_here if item != "address"
                for section, _, name in [item.partition(".")]}
        said["address"] = fingerprint(self.vault, _window(given), given["commune"], given["area"])
        kept = {item: was for item, was in home.changed_here.items() if said[item] == was}
        for item in kept.keys() - {"address"}:
            section, _, name = item.partition(".")
            facts[section] = {**facts[section], name: home.facts[section][name]}
        if "address" in kept:
            values.update({name: getattr(home, name) for name in ("address_sealed", "area", "region", "commune")})
            facts.update(area=home.area, region=home.region)
        return kept

    def _follow_members(self, session: Session, household_id: UUID, row: Row) -> None:
        """What was found about a member, and what is still asked, goes where the member stands now."""
        places = evidence.positions(session, [household_id])
        moved = {}
        for position, member in enumerate(row.household["members"], 1):
            blinds = self.vault.blinds(member["idcs"], "member.idcs")
            moved.update({places[household_id, blind]: position for blind in blinds if (household_id, blind) in places})
            if len(blinds) > 1:
                evidence.rename(session, household_id, blinds[0], blinds[1:])
        inquiry.follow(session, household_id, moved)

    def _members(self, household_id: UUID, row: Row) -> Iterator[dict[str, Any]]:
        for position, member in enumerate(row.household["members"], 1):
            member_id = new_id()
            identity = json.dumps({key: member[key] for key in IDENTITY}, ensure_ascii=False)
            yield {
                "id": member_id, "household_id": household_id, "position": position,
                "idcs_blind": self.vault.blind(member["idcs"], "member.idcs"),
                "identity_sealed": self.vault.seal(identity, "member.identity", member_id),
                "declarant": position == row.household["declarant"]}

    def _contacts(self, household_id: UUID, row: Row, before: Mapping[bytes, Contact],
                  now: datetime) -> Iterator[dict[str, Any]]:
        """A number that the household had `before` keeps its row's name, by which the audit speaks of it."""
        for position, declared in enumerate(row.telephones, 1):
            msisdn = declared.telephone.msisdn
            was = next((before[blind] for blind in self._phone_blinds(msisdn) if blind in before), None)
            contact_id = was.id if was else new_id()
            yield {
                "id": contact_id, "household_id": household_id, "position": position,
                "msisdn_blind": self.vault.blind(msisdn, "contact.msisdn"),
                "msisdn_sealed": self.vault.seal(msisdn, "contact.msisdn", contact_id),
                "kind": declared.telephone.kind, "consent": declared.consent,
                "verified_at": was.verified_at if was else datetime.combine(_registered(row), time(), UTC),
                "suspended_at": now if was and was.suspended_at else None}

    def _phone_blinds(self, msisdn: str) -> list[bytes]:
        return self.vault.blinds(msisdn, "contact.msisdn")


def _homes(session: Session, ids: Sequence[UUID]) -> list[Household]:
    """In the order of the ids, as the database has them now."""
    found = {home.id: home for home in session.scalars(
        sa.select(Household).where(Household.id.in_(ids)).execution_options(populate_existing=True))}
    return [found[household_id] for household_id in ids]


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
