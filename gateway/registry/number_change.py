"""Number change: a household's new telephone number waits, and the old ones may refuse it.

A number is a way to reach a household, and so a thief's way to take it over: read its texts, and be taken for it.
Asked for by telephone, a new number counts 72 hours later at the earliest; until then the old numbers are told and
may refuse it. At the centre the household is known by face and paper: its new number counts at once, and the old
ones are told but cannot refuse, since the telephone may have been stolen with the number in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import new_id
from gateway.registry import audit, suppression
from gateway.registry.clock import day_of
from gateway.registry.events import Event, NumberChangeAsked, NumberChanged
from gateway.registry.household import SHARED_BY_AT_MOST, Contact
from gateway.registry.phones import NotATelephone, Telephone, telephone
from gateway.registry.steps import NotAllowed, step
from gateway.registry.update import BY_TELEPHONE, CENTRE, CHANCE, TRANSITIONS, DataUpdate, hold, keep, numbered
from gateway.vault import Vault

WAIT = timedelta(hours=72)
# Where no text can warn the household a letter does, and a letter takes this long.
WAIT_BY_LETTER = timedelta(days=14)
# A refused number is not followed by the next try: for so long a new number is asked for at the centre only.
BARRED_AFTER_REFUSAL = timedelta(days=30)
AT_ONCE = 200


@dataclass(frozen=True)
class Numbers:
    """Whom to tell of a change (E.164): the new number, and those whose place it took. Only those that agreed."""

    new: str | None = field(repr=False)
    old: tuple[str, ...] = field(repr=False)


def ask_number(session: Session, vault: Vault, household_id: UUID, msisdn: str, *, channel: str, asked_by: str, by: str,
               now: datetime, wait: timedelta = WAIT, wait_by_letter: timedelta = WAIT_BY_LETTER, consent: bool = True,
               chance: Random = CHANCE) -> NumberChangeAsked | NumberChanged:
    """Ask for a new number: it waits, or at the centre takes the old one's place at once.

    `wait` is elapsed time; it is at least `wait_by_letter` where no text reaches the household. `consent` is
    whether the new number may be texted. Asked again for the same number, it is the same change. Raises
    `NotAllowed`, with what may be done instead.
    """
    asked = _read(msisdn)
    hold(session, [household_id])
    waiting = _waiting(session, household_id)
    if channel == CENTRE:
        _fits(session, vault, household_id, asked)
        return _change_now(session, vault, household_id, asked, waiting, asked_by, by, now, consent, chance)
    if channel not in BY_TELEPHONE:
        raise ValueError("a new number is asked for by ussd, sms or voice, or at the centre")
    if waiting and waiting.effective_at:
        # Another number does not take the place of one that waits: the old numbers were told of the first, and
        # would take the second for it. Whoever is in a hurry goes to the centre.
        if waiting.value_blind not in vault.blinds(asked.msisdn, "contact.msisdn"):
            raise NotAllowed("Another new number is waiting; withdraw or refuse it first, or come to the centre.")
        return NumberChangeAsked(household_id, waiting.id, waiting.number, day_of(waiting.effective_at))
    _not_barred(session, household_id, now)
    _fits(session, vault, household_id, asked)
    if not warned(session, vault, household_id):
        wait = max(wait, wait_by_letter)
    found = _kept(session, vault, household_id, asked, "waiting", channel, asked_by, now, now + wait, consent, chance)
    audit.record(session, vault, "number.asked", by=by, now=now, household_id=household_id, subject=found.id,
                 channel=channel)
    return NumberChangeAsked(household_id, found.id, found.number, day_of(now + wait))


def refuse_number(session: Session, vault: Vault, number: str, *, from_msisdn: str | None, by: str,
                  now: datetime) -> None:
    """An old number (`from_msisdn`, E.164) refuses the new one that waits; None: a clerk does at the centre.

    Until the ticker has come it can be refused, be it some minutes late: that is the safe side.
    """
    found = numbered(session, number)
    if found.kind != "phone":
        raise NotAllowed("This number is of another kind of update; only a new telephone number is refused so.")
    hold(session, [found.household_id])
    if from_msisdn and not session.scalar(_live(found.household_id).where(
            Contact.verified_at.is_not(None), Contact.msisdn_blind.in_(vault.blinds(from_msisdn, "contact.msisdn")))):
        raise NotAllowed(
            "A new number is refused from a telephone of the household that was there before, or at the centre.")
    step(session, DataUpdate, found.id, "refused", TRANSITIONS, ended_at=now)
    audit.record(session, vault, "number.refused", by=by, now=now, household_id=found.household_id, subject=found.id,
                 at_the_centre=from_msisdn is None)


def refuse_from(session: Session, vault: Vault, household_ids: Sequence[UUID], msisdn: str, *, now: datetime) -> int:
    """An old number (E.164) says that something is wrong with it: what waits for these households is refused.

    Returns how many changes were.
    """
    waiting = [found for found in (_waiting(session, household_id) for household_id in household_ids) if found]
    for found in waiting:
        refuse_number(session, vault, found.number, from_msisdn=msisdn, by="household", now=now)
    return len(waiting)


def due(session: Session, vault: Vault, now: datetime, wait: timedelta = WAIT, limit: int = AT_ONCE) -> list[Event]:
    """Put the numbers whose time has come in force, at most `limit`: `wait` after the warning has arrived.

    One of which nobody was warned waits. What is refused or postponed meanwhile is passed over.
    """
    ripe = session.execute(
        sa.select(DataUpdate.id, DataUpdate.household_id)
        .where(DataUpdate.state == "waiting", DataUpdate.effective_at <= now, DataUpdate.warned_at <= now - wait)
        .order_by(DataUpdate.effective_at, DataUpdate.id).limit(limit)).all()
    hold(session, {row.household_id for row in ripe})
    events: list[Event] = []
    for row in ripe:
        waits = session.get_one(DataUpdate, row.id)
        # Too many may have taken the same number since: it would prove nothing any more.
        to = "refused" if _too_many(session, waits.value_blind, row.household_id) else "applied"
        try:
            found = step(session, DataUpdate, row.id, to, TRANSITIONS, DataUpdate.state == "waiting",
                         DataUpdate.effective_at <= now, ended_at=now)
        except NotAllowed:
            continue
        if to == "applied":
            _take_the_place(session, vault, found, now)
            events.append(NumberChanged(found.household_id, found.id))
        audit.record(session, vault, "number.changed" if to == "applied" else "number.refused", by="system", now=now,
                     household_id=found.household_id, subject=found.id)
    return events


def note_warning(session: Session, update_id: UUID, at: datetime) -> None:
    """The warning has arrived: from now on it can be refused. The first of several counts."""
    session.execute(sa.update(DataUpdate).where(DataUpdate.id == update_id, DataUpdate.warned_at.is_(None))
                    .values(warned_at=at))


def postpone(session: Session, vault: Vault, update_id: UUID, now: datetime,
             wait_by_letter: timedelta = WAIT_BY_LETTER) -> None:
    """The warning of a number that waits did not arrive, and a letter takes its place: it waits for the post.

    What already waits as long, or waits no more, is left as it is.
    """
    found, until = session.get_one(DataUpdate, update_id), now + wait_by_letter
    hold(session, [found.household_id])
    if session.scalar(sa.update(DataUpdate).where(
            DataUpdate.id == update_id, DataUpdate.state == "waiting", DataUpdate.effective_at < until)
            .values(effective_at=until).returning(DataUpdate.id)):
        audit.record(session, vault, "number.postponed", by="system", now=now, household_id=found.household_id,
                     subject=update_id)


def not_mine(session: Session, vault: Vault, msisdn: str, *, channel: str, asked_by: str, by: str, now: datetime,
             chance: Random = CHANCE) -> list[Event]:
    """Whoever holds this number knows none of its households: it is taken off all of them at once.

    They get letters from now on, and the number no texts, be it brought to us once more. A change to this number that
    still waits is refused.
    """
    asked = _read(msisdn).msisdn
    blinds = vault.blinds(asked, "contact.msisdn")
    bound = sa.select(Contact.household_id).where(Contact.msisdn_blind.in_(blinds), Contact.ended_by.is_(None))
    waiting = session.execute(sa.select(DataUpdate.id, DataUpdate.household_id).where(
        DataUpdate.state == "waiting", DataUpdate.value_blind.in_(blinds))).all()
    hold(session, {*session.scalars(bound), *(row.household_id for row in waiting)})
    for row in waiting:
        try:
            step(session, DataUpdate, row.id, "refused", TRANSITIONS, ended_at=now)
        except NotAllowed:
            continue  # It was refused, or came in force, a moment ago.
        audit.record(session, vault, "number.refused", by=by, now=now, household_id=row.household_id, subject=row.id)
    suppression.suppress(session, vault, asked, "not_mine", by, now)
    events: list[Event] = []
    for household_id in sorted(set(session.scalars(bound))):
        found = keep(session, household_id, "phone", "applied", channel=channel, asked_by=asked_by, now=now,
                     chance=chance, effective_at=now, ended_at=now)
        session.execute(sa.update(Contact).values(ended_by=found.id).where(
            Contact.household_id == household_id, Contact.msisdn_blind.in_(blinds), Contact.ended_by.is_(None)))
        audit.record(session, vault, "number.unbound", by=by, now=now, household_id=household_id, subject=found.id)
        events.append(NumberChanged(household_id, found.id))
    return events


def frozen(session: Session, household_id: UUID, now: datetime) -> bool:
    """Whether a new number waits: until it is decided no address, PIN or datum that benefits rest on is changed."""
    found = _waiting(session, household_id)
    return found is not None and found.asked_at <= now


def warned(session: Session, vault: Vault, household_id: UUID) -> tuple[str, ...]:
    """The numbers that are told of a change: every mobile that agreed to texts, is not suppressed and not in doubt."""
    numbers = [vault.open(contact.msisdn_sealed, "contact.msisdn", contact.id)
               for contact in session.scalars(_live(household_id).where(*_texted()).order_by(Contact.position))]
    silent = suppression.suppressed(session, vault, numbers)
    return tuple(msisdn for msisdn in numbers if msisdn not in silent)


def numbers_of(session: Session, vault: Vault, update_id: UUID) -> Numbers:
    """Whom a `NumberChanged` is told to. Where nobody is left (`not_mine`), a letter goes."""
    found = session.get_one(DataUpdate, update_id)
    if found.value_sealed is None:
        return Numbers(None, ())
    msisdn, consent = _opened(vault, found)
    old = session.scalars(sa.select(Contact).where(Contact.ended_by == update_id, *_texted()))
    return Numbers(msisdn if consent and telephone(msisdn).kind == "mobile" else None,
                   tuple(vault.open(contact.msisdn_sealed, "contact.msisdn", contact.id) for contact in old))


def _read(msisdn: str) -> Telephone:
    try:
        return telephone(msisdn)
    except NotATelephone as error:
        raise NotAllowed(error.reason) from None


def _not_barred(session: Session, household_id: UUID, now: datetime) -> None:
    if session.scalar(sa.select(DataUpdate.id).where(
            DataUpdate.household_id == household_id, DataUpdate.kind == "phone", DataUpdate.state == "refused",
            DataUpdate.ended_at > now - BARRED_AFTER_REFUSAL).limit(1)):
        raise NotAllowed("A new number was refused a short while ago; the next one is asked for at the centre.")


def _fits(session: Session, vault: Vault, household_id: UUID, asked: Telephone) -> None:
    """Raises `NotAllowed` for the household's first number of that kind, and for one that too many share."""
    blinds = vault.blinds(asked.msisdn, "contact.msisdn")
    first = session.scalar(_live(household_id).where(Contact.kind == asked.kind).order_by(Contact.position).limit(1))
    if first and first.msisdn_blind in blinds and first.verified_at and first.suspended_at is None:
        raise NotAllowed("This is the household's number already.")
    if any(_too_many(session, blind, household_id) for blind in blinds):
        raise NotAllowed(f"{SHARED_BY_AT_MOST} households have this number already; give one of the household's own.")


def _too_many(session: Session, blind: bytes | None, household_id: UUID) -> bool:
    """Whether as many others as may share a number have this one."""
    others = sa.select(sa.func.count(sa.distinct(Contact.household_id))).where(
        Contact.msisdn_blind == blind, Contact.ended_by.is_(None), Contact.household_id != household_id)
    return (session.scalar(others) or 0) >= SHARED_BY_AT_MOST


def _change_now(session: Session, vault: Vault, household_id: UUID, asked: Telephone, waiting: DataUpdate | None,
                asked_by: str, by: str, now: datetime, consent: bool, chance: Random) -> NumberChanged:
    """What waited is withdrawn: the household itself stands before the clerk."""
    if waiting:
        step(session, DataUpdate, waiting.id, "withdrawn", TRANSITIONS, ended_at=now)
        audit.record(session, vault, "update.withdrawn", by=by, now=now, household_id=household_id, subject=waiting.id,
                     kind="phone", state="withdrawn")
    found = _kept(session, vault, household_id, asked, "applied", CENTRE, asked_by, now, now, consent, chance)
    found.ended_at = now
    _take_the_place(session, vault, found, now)
    audit.record(session, vault, "number.changed", by=by, now=now, household_id=household_id, subject=found.id,
                 channel=CENTRE)
    return NumberChanged(household_id, found.id)


def _kept(session: Session, vault: Vault, household_id: UUID, asked: Telephone, state: str, channel: str, asked_by: str,
          now: datetime, effective_at: datetime, consent: bool, chance: Random) -> DataUpdate:
    update_id = new_id()
    value = json.dumps({"msisdn": asked.msisdn, "consent": consent})
    return keep(session, household_id, "phone", state, channel=channel, asked_by=asked_by, now=now, chance=chance,
                id=update_id, effective_at=effective_at, value_blind=vault.blind(asked.msisdn, "contact.msisdn"),
                value_sealed=vault.seal(value, "data_update.value", update_id))


def _opened(vault: Vault, found: DataUpdate) -> tuple[str, bool]:
    """The number that was asked for, and whether it may be texted."""
    value = json.loads(vault.open(found.value_sealed or b"", "data_update.value", found.id))
    return value["msisdn"], value["consent"]


def _take_the_place(session: Session, vault: Vault, found: DataUpdate, now: datetime) -> None:
    """The new number comes first, in the place of the first of its kind; others stay behind it."""
    msisdn, consent = _opened(vault, found)
    asked, contact_id = telephone(msisdn), new_id()
    live = session.scalars(_live(found.household_id).order_by(Contact.position)).all()
    same = [contact for contact in live if contact.msisdn_blind in vault.blinds(msisdn, "contact.msisdn")]
    others = [contact for contact in live if contact not in same]
    for contact in same:
        session.delete(contact)
    for contact in [contact for contact in others if contact.kind == asked.kind][:1]:
        contact.ended_by = found.id
    for contact in others:
        contact.position += 1
    session.add(Contact(id=contact_id, household_id=found.household_id, position=1, kind=asked.kind, consent=consent,
                        msisdn_blind=vault.blind(msisdn, "contact.msisdn"), verified_at=now, suspended_at=None,
                        ended_by=None, msisdn_sealed=vault.seal(msisdn, "contact.msisdn", contact_id)))
    session.flush()


def _waiting(session: Session, household_id: UUID) -> DataUpdate | None:
    return session.scalar(sa.select(DataUpdate).where(
        DataUpdate.household_id == household_id, DataUpdate.state == "waiting")
        .execution_options(populate_existing=True))


def _live(household_id: UUID) -> sa.Select[Contact]:
    return sa.select(Contact).where(Contact.household_id == household_id, Contact.ended_by.is_(None))


def _texted() -> tuple[sa.ColumnElement[bool], ...]:
    return (Contact.kind == "mobile", Contact.consent.is_(True), Contact.verified_at.is_not(None),
            Contact.suspended_at.is_(None))
