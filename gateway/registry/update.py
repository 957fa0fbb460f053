"""Update: a household says that something has changed, and the register that owns it hears of it.

What is said over a telephone changes nothing by itself, since a telephone may be in other hands: it is a report.
Whoever comes to the centre is known by face and paper, and a clerk changes the data there (`declaration`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry import audit
from gateway.registry.clock import day_of
from gateway.registry.events import UpdateReceived
from gateway.registry.household import Household
from gateway.registry.numbers import new_number
from gateway.registry.steps import NotAllowed, Transitions, step
from gateway.vault import Vault

# What has changed -> the register that owns it (official FAQ, alhoukouma.gov.ma/faq/page/8).
REGISTER_OF: dict[str, str] = {"phone": "rsu", "address": "rsu", "dwelling": "rsu", "spending": "rsu",
                               "equipment": "rsu", "declarant": "rsu", "members": "population_register",
                               "schooling": "aid_agency", "disability": "aid_agency", "health_cover": "cnss"}
BY_TELEPHONE = ("ussd", "sms", "voice")
CENTRE = "centre"
# A new address takes the letters with the PIN, a new declarant the household: by telephone they are never begun.
ONLY_IN_PERSON = ("address", "members", "declarant")
# waiting: a new number in its 72 hours. forwarded: the other register has it. refused: by the old number, or a clerk.
TRANSITIONS: Transitions = {
    "received": frozenset({"waiting", "forwarded", "in_person", "applied", "refused", "withdrawn"}),
    "waiting": frozenset({"applied", "refused", "withdrawn"}),
    "in_person": frozenset({"forwarded", "applied", "refused", "withdrawn"}),
    "forwarded": frozenset({"applied", "refused"}),
    "applied": frozenset(),
    "refused": frozenset(),
    "withdrawn": frozenset(),
}
OPEN = tuple(state for state, ends in TRANSITIONS.items() if ends)
# What happens next, in words of every language (templates/words/updates.*). An `in_person` one goes to its register.
NEXT_STEP = {"received": "centre_examines", "waiting": "old_number_may_refuse", "forwarded": "register_answers",
             "applied": "nothing", "refused": "ask_at_centre", "withdrawn": "may_ask_again"}
GO_TO = {"rsu": "go_to_centre", "population_register": "go_to_population_register"}
CHANCE = secrets.SystemRandom()


class DataUpdate(Base):
    """One change that a household reported. `number` follows it. The new value is sealed.

    `asked_by` is the session and the row. `warned_at` is when the old number had the warning of a new one. `score_id`
    is the score that it led to; an update that moved neither index nor decision has none.
    """

    __tablename__ = "data_update"
    __table_args__ = (sa.Index("ix_data_update_waiting", "household_id", unique=True,
                               postgresql_where=sa.text("state = 'waiting'"),
                               sqlite_where=sa.text("state = 'waiting'")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    register: Mapped[str] = mapped_column(sa.String(24))
    state: Mapped[str] = mapped_column(sa.String(12), index=True)
    channel: Mapped[str] = mapped_column(sa.String(8))
    asked_by: Mapped[str] = mapped_column(sa.String(120), unique=True)
    value_sealed: Mapped[bytes | None]
    value_blind: Mapped[bytes | None] = mapped_column(index=True)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    effective_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    score_id: Mapped[UUID | None]


@dataclass(frozen=True)
class UpdateStanding:
    """Where an update stands: since when, which register has it, what happens next and by when.

    `next_step` and `register` are codes with words in every language.
    """

    number: str
    kind: str
    state: str
    since: date
    next_step: str
    register: str
    by: date | None


def file(session: Session, vault: Vault, household_id: UUID, kind: str, *, channel: str, asked_by: str, by: str,
         now: datetime, chance: Random = CHANCE) -> UpdateReceived:
    """Note that something of this kind has changed. While it is open, the same kind is the same update.

    By telephone it is a report for the centre or for the register that owns the data, or (state `in_person`) a
    number to come with. At the centre it is open for a clerk to apply, or goes to the other register at once.
    Raises `NotAllowed` for a telephone number, which has a way of its own (`number_change.ask_number`).
    """
    if kind == "phone":
        raise NotAllowed("A new telephone number is asked for with the number itself, and not as another update.")
    if kind not in REGISTER_OF:
        raise NotAllowed(f"There is no such kind of update; it is one of {', '.join(sorted(REGISTER_OF))}.")
    hold(session, [household_id])
    begins = _begins(kind, channel)
    found = session.scalar(sa.select(DataUpdate).where(
        DataUpdate.household_id == household_id, DataUpdate.kind == kind, DataUpdate.state.in_(OPEN)))
    if found is None:
        found = keep(session, household_id, kind, begins, channel=channel, asked_by=asked_by, now=now, chance=chance)
    elif (found.state, begins) == ("in_person", "forwarded"):
        step(session, DataUpdate, found.id, "forwarded", TRANSITIONS)
    else:
        return UpdateReceived(household_id, found.id, found.number, found.register)
    audit.record(session, vault, "update.filed", by=by, now=now, household_id=household_id, subject=found.id, kind=kind,
                 state=begins, channel=channel)
    return UpdateReceived(household_id, found.id, found.number, found.register)


def state_of(session: Session, number: str) -> UpdateStanding | None:
    """Where the update of this number stands; None when there is none."""
    found = session.scalar(sa.select(DataUpdate).where(DataUpdate.number == number))
    if found is None:
        return None
    by = day_of(found.effective_at) if found.state == "waiting" and found.effective_at else None
    return UpdateStanding(found.number, found.kind, found.state, day_of(found.ended_at or found.asked_at),
                          NEXT_STEP.get(found.state) or GO_TO[found.register], found.register, by)


def answered(session: Session, vault: Vault, number: str, outcome: Literal["applied", "refused"], *, by: str,
             now: datetime) -> None:
    """The other register has answered. Its new values come by themselves: with an extract, or as a finding."""
    found = numbered(session, number)
    if found.state == "forwarded":
        _end(session, vault, found, outcome, "update.answered", by, now, DataUpdate.state == "forwarded")
        return
    raise NotAllowed(f"This data_update is {found.state}; only one that was forwarded has an answer to come.")


def refuse(session: Session, vault: Vault, number: str, *, by: str, now: datetime) -> None:
    """A clerk finds that there is nothing to change. A number change has its own way (`number_change`)."""
    found = numbered(session, number)
    if found.kind == "phone" or found.state == "forwarded":
        raise NotAllowed(
            "A clerk refuses what the centre examines; a new number, or what another register has, is refused there.")
    _end(session, vault, found, "refused", "update.refused", by, now, DataUpdate.state != "forwarded")


def withdraw(session: Session, vault: Vault, number: str, *, by: str, now: datetime) -> None:
    """The household takes it back, a number that waits as well."""
    _end(session, vault, numbered(session, number), "withdrawn", "update.withdrawn", by, now)


def numbered(session: Session, number: str) -> DataUpdate:
    """The update of this number, as it is now. Raises `NotAllowed` when there is none."""
    found = session.scalar(sa.select(DataUpdate).where(DataUpdate.number == number)
                           .execution_options(populate_existing=True))
    if found is None:
        raise NotAllowed("There is no such data_update; compare the nine digits with those on the paper.")
    return found


def hold(session: Session, household_ids: Collection[UUID]) -> None:
    """Let nobody else change these households until the transaction ends; in one order, so that two never deadlock.

    Rows that only name a household (`key_share`) are written meanwhile, as they are while any household is held.
    Raises `NotAllowed` when there is no such household.
    """
    held = session.scalars(sa.select(Household.id).where(Household.id.in_(household_ids)).order_by(Household.id)
                           .with_for_update(key_share=True)).all()
    if len(held) < len(set(household_ids)):
        raise NotAllowed("There is no such household.")


def keep(session: Session, household_id: UUID, kind: str, state: str, *, channel: str, asked_by: str, now: datetime,
         chance: Random = CHANCE, **values: Any) -> DataUpdate:
    """Write an update down under a number that nobody has. The caller holds the household."""
    update_id: UUID = values.pop("id", None) or new_id()
    row = {"id": update_id, "household_id": household_id, "kind": kind, "register": REGISTER_OF[kind], "state": state,
           "channel": channel, "asked_by": f"{asked_by[:80]}/{update_id.hex}", "asked_at": now, **values}
    # What cannot be inserted has drawn a number that is taken: draw again.
    while not insert_new(session, DataUpdate, [row | {"number": new_number("update", chance)}]):
        continue
    return session.get_one(DataUpdate, update_id)


def _begins(kind: str, channel: str) -> str:
    if channel in BY_TELEPHONE and kind in ONLY_IN_PERSON:
        return "in_person"
    if channel in BY_TELEPHONE or channel == CENTRE:
        return "received" if REGISTER_OF[kind] == "rsu" else "forwarded"
    raise ValueError("an update comes by ussd, sms or voice, or is brought to the centre")


def _end(session: Session, vault: Vault, found: DataUpdate, state: str, act: str, by: str, now: datetime,
         *conditions: sa.ColumnElement[bool]) -> None:
    step(session, DataUpdate, found.id, state, TRANSITIONS, *conditions, ended_at=now)
    audit.record(session, vault, act, by=by, now=now, household_id=found.household_id, subject=found.id,
                 kind=found.kind, state=state)
