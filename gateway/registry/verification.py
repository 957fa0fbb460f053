"""Verification: what partner bodies answer becomes evidence, and where it moves a household, a new index."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import rfc8785
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import insert_new, new_id
from gateway.registry import audit, evidence, extract, inquiry, items, registration, score
from gateway.registry.answers import Answer, Remark, refusal, remark
from gateway.registry.clock import day_of
from gateway.registry.events import Event
from gateway.registry.evidence import Facts, Finding
from gateway.registry.extract import Problem, Refusal
from gateway.registry.household import Household
from gateway.registry.scoring import Scorer
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

Row = dict[str, Any]


@dataclass
class Received:
    """What became of some answers. `stored` are new, `repeated` were known; `outcomes` are by line.

    `changed` are the households of which something else counts now, `closed` those of which a body has answered all.
    """

    stored: int = 0
    repeated: int = 0
    changed: set[UUID] = field(default_factory=set)
    closed: set[UUID] = field(default_factory=set)
    outcomes: dict[int, Refusal | Remark] = field(default_factory=dict)


@dataclass
class Answered:
    """What must be told after some answers, and what became of each of them that is not simply stored."""

    received: Received
    events: list[Event]


def answer(session: Session, vault: Vault, scorer: Scorer, answers: Sequence[Answer], now: datetime) -> Answered:
    """Keep these answers, and score the households that they move, or whose verification they complete."""
    received = receive(session, vault, answers, now)
    touched = received.changed | received.closed
    states = registration.states(session, touched)
    scored = [one for one in received.changed if states.get(one) in ("scored", "notified")]
    events = scorer.score(session, _homes(session, scored), "partner_correction", now).events if scored else []
    waits = inquiry.waits_for(session, list(touched))
    complete = [one for one in touched if states.get(one) in registration.UNSCORED and not waits[one]]
    return Answered(received, [*events, *first_scores(session, scorer, complete, now)])


def first_scores(session: Session, scorer: Scorer, household_ids: Sequence[UUID], now: datetime) -> list[Event]:
    """Score households whose data are verified. One that was reinstated is verified again, and told even if all is
    as it was. One that cannot be computed keeps its state, and a clerk looks at it.
    """
    former = set(score.currents(session, household_ids))
    events: list[Event] = []
    if new := [one for one in household_ids if one not in former]:
        events += scorer.score(session, _homes(session, new), "registration", now).events
    if former:
        events += scorer.score(session, _homes(session, list(former)), "yearly_verification", now, day_of(now)).events
    registration.scored(session, [event.household_id for event in events if event.household_id], now)
    return events


def score_anyway(session: Session, vault: Vault, scorer: Scorer, household_id: UUID, *, why: str, by: str,
                 now: datetime) -> list[Event]:
    """Score now with what is known: a body has not answered, and the household must not wait for it.

    The questions stay open; a late answer is a partner's correction. No event: the index cannot be computed.
    Raises `NotAllowed`.
    """
    _hold(session, household_id)
    state = registration.states(session, [household_id]).get(household_id)
    if state not in registration.UNSCORED:
        raise NotAllowed(f"This registration is {state or 'not there'}: only one that is registered or verifying is "
                         "scored before every body has answered.")
    audit.record(session, vault, "registration.scored_anyway", by=by, now=now, household_id=household_id, why=why,
                 waits_for=list(inquiry.waits_for(session, [household_id])[household_id]))
    return first_scores(session, scorer, [household_id], now)


def contest(session: Session, vault: Vault, household_id: UUID, finding_id: UUID, *, by: str, now: datetime) -> None:
    """The household says that a body is wrong about an item: the body is asked again, and its next word counts.

    Until then its correction goes on counting. Raises `NotAllowed`.
    """
    _hold(session, household_id)
    found = session.get(Finding, finding_id, populate_existing=True)
    if found is None or found.household_id != household_id:
        raise NotAllowed("This household has no such finding.")
    item = evidence.placed(found, evidence.positions(session, [household_id]))
    if item is None or counting(session, household_id, item) is not found:
        raise NotAllowed("This finding does not count for the household; only a correction that counts is contested.")
    asked = inquiry.opened(session, [household_id]).get((household_id, found.partner))
    if asked and item in asked.items:
        raise NotAllowed("This body has been asked about this item already; its answer must come first.")
    found.contested_at = now
    inquiry.ask_about(session, household_id, found.partner, item, now)
    audit.record(session, vault, "finding.contested", by=by, now=now, household_id=household_id, subject=found.id,
                 item=found.item, partner=found.partner)


def counting(session: Session, household_id: UUID, item: str) -> Finding | None:
    """The correction by a body that counts for this item (`members.2.health_cover`); None where none does.

    Raises `NotAllowed` when the household has no such item.
    """
    home = session.get_one(Household, household_id)
    name, member_blind = items.place(session, home, item)
    source = evidence.effective(session, [home])[household_id].sources.get(item, {})
    found = evidence.last_words(session, [household_id]).get((household_id, name, member_blind))
    return found if found and source.get("by") == found.partner else None


# Keeping answers


def receive(session: Session, vault: Vault, answers: Sequence[Answer], now: datetime) -> Received:
    """Keep what these answers say. A repeat changes nothing, and in what order they come does not matter."""
    received = Received()
    homes = _addressed(session, vault, answers)
    members = evidence.positions(session, [home.id for home in homes.values()])
    rows, lines = [], {}
    for one in answers:
        found = _finding(vault, one, homes, members, now)
        if isinstance(found, Refusal):
            received.outcomes[one.line] = found
        else:
            rows.append(found)
            lines[found["id"]] = one.line
    before = _facts(session, homes)
    kept = insert_new(session, Finding, rows)
    new = [row for row in rows if row["id"] in kept]
    received.stored, received.repeated = len(new), len(rows) - len(new)
    _close(session, new, lines, received, now)
    after = _facts(session, homes)
    received.changed = {home_id for home_id in after if after[home_id] != before[home_id]}
    _remember(session, vault, new, now)
    return received


def _addressed(session: Session, vault: Vault, answers: Iterable[Answer]) -> dict[str, Household]:
    """The households by their numbers, held until the transaction ends: two files at once take their turns."""
    numbers = {blind: number for number in {one.household_number for one in answers}
               for blind in vault.blinds(number, "household.number")}
    found = session.scalars(sa.select(Household).where(Household.number_blind.in_(list(numbers)))
                            .order_by(Household.id).with_for_update(key_share=True).execution_options(populate_existing=True))
    return {numbers[home.number_blind]: home for home in found}


def _finding(vault: Vault, one: Answer, homes: Mapping[str, Household], members: Container[tuple[UUID, bytes]],
             now: datetime) -> Row | Refusal:
    """The answer as a row, or why it cannot be one."""
    home = homes.get(one.household_number)
    if home is None:
        return refusal(one.line, "household_number", "unknown_household")
    blinds = vault.blinds(one.idcs, "member.idcs") if one.idcs else [b""]
    known = [blind for blind in blinds if not blind or (home.id, blind) in members]
    if not known:
        return refusal(one.line, "idcs", "unknown_member")
    if one.item == "members.birth_date" and one.outcome == "corrected":
        wrong = extract.birth(one.value, day_of(now))
        if wrong:
            return Refusal(one.line, (Problem("/value", wrong, extract.REFUSALS[wrong]),))
    return {"id": new_id(), "household_id": home.id, "partner": one.partner, "item": one.item,
            "member_blind": known[0], "outcome": one.outcome, "value": one.value, "answered_on": one.answered_on,
            "reference": one.reference, "received_at": now,
            "said": hashlib.sha256(rfc8785.dumps([one.outcome, one.value])).hexdigest()}


def _close(session: Session, rows: Sequence[Row], lines: Mapping[UUID, int], received: Received,
           now: datetime) -> None:
    """Take the answered items off the open inquiries. An answer older than its question does not answer it."""
    ids = list({row["household_id"] for row in rows})
    asked, places = inquiry.opened(session, ids), evidence.positions(session, ids)
    answered: dict[tuple[UUID, str], list[str]] = defaultdict(list)
    for row in rows:
        key = (row["household_id"], row["partner"])
        item = evidence.located(row["item"], places, row["household_id"], row["member_blind"])
        if key not in asked or item not in asked[key].items:
            continue
        if row["answered_on"] < day_of(asked[key].asked_at):
            received.outcomes[lines[row["id"]]] = remark(lines[row["id"]], "answered_on", "answered_before_asked")
        else:
            answered[key].append(item)
    for key, named in answered.items():
        inquiry.answered(asked[key], named, now)
        if asked[key].answered_at:
            received.closed.add(key[0])
    session.flush()


def _facts(session: Session, homes: Mapping[str, Household]) -> dict[UUID, Facts]:
    return {home_id: found.facts for home_id, found in evidence.effective(session, list(homes.values())).items()}


def _remember(session: Session, vault: Vault, rows: Sequence[Row], now: datetime) -> None:
    """One entry in the audit for each household and body."""
    named: dict[tuple[UUID, str], set[str]] = defaultdict(set)
    for row in rows:
        named[row["household_id"], row["partner"]].add(row["item"])
    for (household_id, partner), names in sorted(named.items()):
        audit.record(session, vault, "finding.received", by=partner, now=now, household_id=household_id,
                     items=sorted(names))


def _hold(session: Session, household_id: UUID) -> None:
    """Nobody else acts on this household until the transaction ends."""
    session.execute(sa.select(Household.id).where(Household.id == household_id).with_for_update(key_share=True))


def _homes(session: Session, household_ids: Sequence[UUID]) -> list[Household]:
    return list(session.scalars(sa.select(Household).where(Household.id.in_(household_ids)).order_by(Household.id)))
