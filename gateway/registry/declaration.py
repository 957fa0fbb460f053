"""Declaration: what a household declares of itself, changed by a clerk before whom it stands.

A changed fact is a declaration like the first one: the bodies that know better are asked again, and the household is
scored with what counts now. No value stands in the audit; the snapshots of the scores keep them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import audit, extract, registration, score
from gateway.registry.clock import day_of
from gateway.registry.communes import commune
from gateway.registry.events import Event
from gateway.registry.evidence import Correction
from gateway.registry.household import Household, Member, address_of, fingerprint
from gateway.registry.measures import age_on
from gateway.registry.number_change import frozen
from gateway.registry.scoring import Scorer
from gateway.registry.steps import NotAllowed, step
from gateway.registry.update import TRANSITIONS, DataUpdate, hold
from gateway.vault import Vault

# Kind of update -> the sections of the facts that it may change. What is owned is declared with the equipment.
SECTIONS: dict[str, tuple[str, ...]] = {
    "dwelling": ("dwelling",), "equipment": ("equipment", "property"), "spending": ("spending",)}
ADDRESS = ("lines", "postal_code", "locality", "commune", "area")


def apply(session: Session, vault: Vault, scorer: Scorer, update_id: UUID, items: Mapping[str, Any], *, by: str,
          now: datetime) -> list[Event]:
    """Change items of the declaration (`{"equipment.cars": 0}`), have them verified, and score.

    An item that an operator once corrected is corrected anew: that correction was about an earlier day, and would
    outweigh every later declaration. Raises `NotAllowed`, with the item and what to write; then nothing is changed.
    """
    found, home = _begun(session, update_id, SECTIONS, now)
    _check(found.kind, items)
    facts, said = copy.deepcopy(home.facts), {}
    for item, value in items.items():
        section, _, name = item.partition(".")
        said[item] = facts[section].get(name)
        facts[section][name] = value
    home.changed_here = said | home.changed_here
    home.facts, home.declared_on = facts, day_of(now)
    corrected = set(session.scalars(sa.select(Correction.item).where(
        Correction.household_id == home.id, Correction.item.in_(items), Correction.in_force_at.is_not(None))))
    session.add_all(Correction(
        household_id=home.id, item=item, member_blind=b"", value=items[item], entered_by=by, reason="data update",
        review_id=None, in_force_at=now, entered_at=now) for item in sorted(corrected))
    session.flush()
    registration.verify(session, [home.id], now)
    return _scored(session, vault, scorer, found, home, items, by, now)


def apply_address(session: Session, vault: Vault, scorer: Scorer, update_id: UUID, address: Mapping[str, Any], *,
                  by: str, now: datetime) -> list[Event]:
    """The household lives elsewhere: `lines`, `postal_code`, `locality` as in an extract, `commune` and `area` if
    these are others. Another region or area counts in the index, so the household is scored then.

    Raises `NotAllowed` as `apply` does.
    """
    found, home = _begun(session, update_id, ("address",), now)
    _check_address(address)
    place = commune(address.get("commune", home.commune))
    if place is None:
        raise NotAllowed("commune: " + extract.REFUSALS["unknown_commune"])
    locality = address.get("locality") or place.name_ar
    name, *_ = lines = address_of(vault, home).lines
    home.changed_here = {"address": fingerprint(vault, lines, home.commune, home.area)} | home.changed_here
    _seal_lines(vault, home, [name, *address["lines"], " ".join(filter(None, (address.get("postal_code"), locality)))])
    area = address.get("area", place.area if "commune" in address else home.area)
    moved = (place.region, area) != (home.region, home.area)
    home.commune, home.region, home.area = place.code, place.region, area
    if moved:
        home.facts = {**home.facts, "region": place.region, "area": area}
    session.flush()
    if moved:
        return _scored(session, vault, scorer, found, home, address, by, now)
    _recorded(session, vault, found, address, by, now)
    return []


def apply_declarant(session: Session, vault: Vault, update_id: UUID, position: int, *, by: str,
                    now: datetime) -> list[Event]:
    """Another adult member speaks for the household from now on, and letters bear that member's name.

    Raises `NotAllowed`: the declarant is an adult member (decree 2-21-582, article 2).
    """
    found, home = _begun(session, update_id, ("declarant",), now)
    members = {member.position: member for member in session.scalars(
        sa.select(Member).where(Member.household_id == home.id))}
    if position not in members:
        raise NotAllowed(extract.REFUSALS["declarant_unknown"])
    born = date.fromisoformat(home.facts["members"][position - 1]["birth_date"])
    if age_on(born, day_of(now)) < extract.ADULT:
        raise NotAllowed("The declarant is an adult member; this one is under 18 today.")
    for member in members.values():
        member.declarant = member.position == position
    chosen = members[position]
    names = json.loads(vault.open(chosen.identity_sealed, "member.identity", chosen.id))
    name = names["name_latin" if home.locale == "fr-MA" else "name_ar"]
    _seal_lines(vault, home, [name, *address_of(vault, home).lines[1:]])
    session.flush()
    _recorded(session, vault, found, ("declarant",), by, now)
    return []


def _begun(session: Session, update_id: UUID, kinds: Collection[str], now: datetime) -> tuple[DataUpdate, Household]:
    """The update, already `applied`, and its household, held. A refusal later rolls both back."""
    found = session.get(DataUpdate, update_id)
    if found is None or found.kind not in kinds:
        raise NotAllowed(f"A clerk applies an update of {', '.join(kinds)} here; this is none.")
    hold(session, [found.household_id])
    if frozen(session, found.household_id, now):
        raise NotAllowed("A new telephone number waits, and nothing is changed meanwhile; refuse or withdraw it first.")
    if registration.standing_out(session, [found.household_id]):
        raise NotAllowed("This household is withdrawn or struck off; reinstate it first, then change what it declared.")
    found = step(session, DataUpdate, update_id, "applied", TRANSITIONS, ended_at=now)
    return found, session.get_one(Household, found.household_id, populate_existing=True)


def _check(kind: str, items: Mapping[str, Any]) -> None:
    if not items:
        raise NotAllowed(f"Say what has changed: items of {' or '.join(SECTIONS[kind])}, each with its value.")
    for item, value in items.items():
        if item.partition(".")[0] not in SECTIONS[kind] or item.count(".") != 1:
            raise NotAllowed(f"An update of {kind} changes items of {' or '.join(SECTIONS[kind])} only.")
        _check_field(item, value)


def _check_address(address: Mapping[str, Any]) -> None:
    if not address.get("lines") or set(address) - set(ADDRESS):
        raise NotAllowed(f"An address has lines, and may have {', '.join(ADDRESS[1:])}; nothing else.")
    for name, value in address.items():
        _check_field(name if name in ("commune", "area") else f"address.{name}", value)
    for text in (*address["lines"], address.get("locality") or ""):
        if extract.UNPRINTABLE.search(text):
            raise NotAllowed(extract.REFUSALS["unprintable"])


def _check_field(item: str, value: object) -> None:
    try:
        problem = extract.check_field(item, value)
    except KeyError:
        known = ", ".join(extract.field_schema(item.partition(".")[0])["properties"])
        raise NotAllowed(f"There is no such item; there are {known}.") from None
    if problem:
        raise NotAllowed(f"{item}: {problem.reason}")


def _seal_lines(vault: Vault, home: Household, lines: list[str]) -> None:
    home.address_sealed = vault.seal(json.dumps(lines), "household.address", home.id)


def _scored(session: Session, vault: Vault, scorer: Scorer, found: DataUpdate, home: Household, items: Collection[str],
            by: str, now: datetime) -> list[Event]:
    """Score, and keep which score the update led to: the delay from one to the other is a figure (MAJ-01).

    What is still being verified gets its index when the bodies have answered, and not by the way.
    """
    before = score.latest(session, home.id)
    verified = registration.states(session, [home.id]).get(home.id) not in registration.UNSCORED
    events = scorer.score(session, [home], "data_update", now).events if verified else []
    after = score.latest(session, home.id)
    if after and (before is None or before.id != after.id):
        found.score_id = after.id
    _recorded(session, vault, found, items, by, now)
    return events


def _recorded(session: Session, vault: Vault, found: DataUpdate, items: Collection[str], by: str,
              now: datetime) -> None:
    session.flush()
    audit.record(session, vault, "update.applied", by=by, now=now, household_id=found.household_id, subject=found.id,
                 kind=found.kind, items=sorted(items))
