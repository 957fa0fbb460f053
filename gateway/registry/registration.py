"""Registration: the way of a household from registering to being told its index, and the promise of ten days.

A household is told its index within 5 to 10 days of the day of registration (seed text of the RSU, law 72-18).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, aliased, mapped_column

from gateway.db import JSON, Base, UtcDateTime, among, insert_new, new_id
from gateway.registry import audit, inquiry
from gateway.registry.clock import day_of
from gateway.registry.events import RegistrationReceived
from gateway.registry.household import Household
from gateway.registry.numbers import folded, new_number, read_number
from gateway.registry.steps import NotAllowed, Transitions, step
from gateway.vault import Vault

# The seed text of the RSU: the index is notified within 5 to 10 days of registration.
TOLD_WITHIN = timedelta(days=10)
CHANCE = secrets.SystemRandom()

TRANSITIONS: Transitions = {
    "pre_registered": frozenset({"registered", "withdrawn"}),
    "registered": frozenset({"verifying", "scored", "withdrawn", "struck_off"}),
    "verifying": frozenset({"scored", "withdrawn", "struck_off"}),
    "scored": frozenset({"notified", "withdrawn", "struck_off"}),
    "notified": frozenset({"scored", "withdrawn", "struck_off"}),
    "withdrawn": frozenset({"pre_registered", "registered"}),
    "struck_off": frozenset({"registered"}),
}
STRUCK_OFF_FOR = ("fraud_confirmed", "individual_procedure", "multi_nucleus_procedure")
UNSCORED = ("registered", "verifying")
OUT = ("withdrawn", "struck_off")
NOT_TAKING_PART = (*OUT, *UNSCORED)


class Registration(Base):
    """One household's way. `number` stands on the slip. A pre-registered one has no household yet.

    `missing` are the positions of members who are not in the population register. Late is no state: it is a
    registration that has not been told by `registered_on` + `TOLD_WITHIN`. `pre_registered_at` is when it began to
    wait for an identifier, `received_at` when the whole household came in.
    """

    __tablename__ = "registration"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("household.id"), unique=True)
    household_blind: Mapped[bytes] = mapped_column(unique=True)  # of the household's number
    number: Mapped[str] = mapped_column(sa.String(9), unique=True)
    state: Mapped[str] = mapped_column(sa.String(16), index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    pre_registered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    registered_on: Mapped[date] = mapped_column(index=True)
    missing: Mapped[list[int]] = mapped_column(JSON)
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    scored_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_on: Mapped[date | None]
    late_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def promised_on(self) -> date:
        """The last day on which the household is told in time."""
        return self.registered_on + TOLD_WITHIN


@dataclass(frozen=True)
class Newcomer:
    """A household that registers, or (without `household_id`) would if its `missing` members had identifiers."""

    household_number: str = field(repr=False)
    registered_on: date
    household_id: UUID | None = None
    missing: tuple[int, ...] = ()


def find(session: Session, vault: Vault, typed: str) -> Registration | None:
    """The registration of this slip number, or of this household number; None where there is none."""
    slip = read_number(typed)
    named = (Registration.number == slip if slip else
             Registration.household_blind.in_(vault.blinds(folded(typed), "household.number")))
    return session.scalar(sa.select(Registration).where(named))


# Coming in


def receive(session: Session, vault: Vault, newcomers: Sequence[Newcomer], now: datetime,
            chance: Random = CHANCE) -> list[RegistrationReceived]:
    """Give each newcomer a number. Who was pre-registered, or had withdrawn before registering, keeps the old one."""
    before = _before(session, vault, newcomers)
    fresh = []
    for newcomer in newcomers:
        values = {**_values(vault, newcomer, now), "received_at": now}
        if newcomer in before:
            step(session, Registration, before[newcomer].id, "registered", TRANSITIONS, **values)
        else:
            fresh.append({**values, "state": "registered"})
    _number(session, fresh, chance)
    rows = session.scalars(sa.select(Registration).where(
        Registration.household_id.in_([newcomer.household_id for newcomer in newcomers])))
    return [RegistrationReceived(row.household_id, row.id, row.number) for row in rows if row.household_id]


def pre_register(session: Session, vault: Vault, newcomers: Sequence[Newcomer], now: datetime,
                 chance: Random = CHANCE) -> int:
    """Keep who waits for a member's identifier. Returns how many wait; a registered household is left as it is."""
    before = _before(session, vault, newcomers, waiting_only=False)
    waiting, fresh = 0, []
    for newcomer in newcomers:
        values, row = {**_values(vault, newcomer, now), "pre_registered_at": now}, before.get(newcomer)
        if row is None:
            fresh.append({**values, "state": "pre_registered"})
        elif row.household_id:
            continue
        elif row.state == "withdrawn":
            step(session, Registration, row.id, "pre_registered", TRANSITIONS, **values)
        else:
            row.missing, row.registered_on = values["missing"], newcomer.registered_on
        waiting += 1
    _number(session, fresh, chance)
    return waiting


def verify(session: Session, household_ids: Sequence[UUID], now: datetime) -> None:
    """Ask every body about these households; each is being verified from now on. They are asked anew if they were."""
    inquiry.ask(session, household_ids, now)
    _move(session, household_ids, ("registered",), state="verifying", since=now)


def _before(session: Session, vault: Vault, newcomers: Sequence[Newcomer], *, waiting_only: bool = True
            ) -> dict[Newcomer, Registration]:
    """The registrations that there are already; by default those alone that have no household yet."""
    by_blind = {blind: newcomer for newcomer in newcomers
                for blind in vault.blinds(newcomer.household_number, "household.number")}
    found = sa.select(Registration).where(Registration.household_blind.in_(list(by_blind)))
    if waiting_only:
        found = found.where(Registration.household_id.is_(None))
    return {by_blind[row.household_blind]: row for row in session.scalars(found)}


def _values(vault: Vault, newcomer: Newcomer, now: datetime) -> dict[str, Any]:
    return {"household_id": newcomer.household_id, "since": now, "registered_on": newcomer.registered_on,
            "household_blind": vault.blind(newcomer.household_number, "household.number"),
            "missing": list(newcomer.missing), "reason": None}


def _number(session: Session, rows: Sequence[dict[str, Any]], chance: Random) -> None:
    """Insert them, each with a number of its own: one that is taken is drawn again."""
    while rows:
        numbered = [{**row, "id": new_id(), "number": new_number("registration", chance)} for row in rows]
        kept = insert_new(session, Registration, numbered)
        # A household that another process has registered at this moment has its row: it is not tried again.
        there = set(session.scalars(sa.select(Registration.household_blind).where(
            Registration.household_blind.in_([row["household_blind"] for row in rows]))))
        rows = [row for row in numbered if row["id"] not in kept and row["household_blind"] not in there]


# On the way


def scored(session: Session, household_ids: Sequence[UUID], now: datetime) -> None:
    """These households have an index now; next they are told it."""
    _move(session, household_ids, UNSCORED, state="scored", since=now, scored_at=now)


def notified(session: Session, household_id: UUID, on: date, now: datetime) -> bool:
    """There is proof that the household was told on this day. False when that was known, or is not awaited."""
    return bool(all_notified(session, [household_id], on, now))


def all_notified(session: Session, household_ids: Sequence[UUID], on: date, now: datetime) -> int:
    """The same of many. Returns how many had been awaited."""
    return _move(session, household_ids, ("scored",), state="notified", since=now, notified_on=on)


def not_notified(session: Session, household_id: UUID, now: datetime) -> None:
    """What was taken for the proof was none: the household still has to be told."""
    _move(session, [household_id], ("notified",), state="scored", since=now, notified_on=None)


def withdraw(session: Session, vault: Vault, registration_id: UUID, *, why: str, by: str, now: datetime) -> None:
    """The household does not want to be registered any more. Raises `NotAllowed`."""
    _leave(session, vault, registration_id, "withdrawn", None, why, by, now)


def strike_off(session: Session, vault: Vault, registration_id: UUID, *, reason: str, why: str, by: str,
               now: datetime) -> None:
    """Take the household out of the register: it is neither scored nor told any more. Raises `NotAllowed`."""
    if reason not in STRUCK_OFF_FOR:
        raise NotAllowed(f"A household is struck off for one of these: {', '.join(STRUCK_OFF_FOR)}.")
    _leave(session, vault, registration_id, "struck_off", reason, why, by, now)


def reinstate(session: Session, vault: Vault, registration_id: UUID, *, why: str, by: str, now: datetime) -> None:
    """Back into the register: its data are verified anew, and ten days run from today. Raises `NotAllowed`."""
    _hold(session, registration_id)
    row = session.get(Registration, registration_id, populate_existing=True)
    if row and row.state not in OUT:
        raise NotAllowed(f"This registration is {row.state}: only one that is withdrawn or struck off is reinstated.")
    if row and row.household_id is None:
        raise NotAllowed("This registration was never complete; the household registers again, with every member's "
                         "identifier.")
    row = step(session, Registration, registration_id, "registered", TRANSITIONS, since=now,
               registered_on=day_of(now), reason=None, scored_at=None, notified_on=None, late_told_at=None)
    if row.household_id:
        verify(session, [row.household_id], now)
    _record(session, vault, "registration.reinstated", row, why, by, now)


def come_back(session: Session, vault: Vault, household_ids: Sequence[UUID], now: datetime) -> None:
    """Households that had withdrawn register again. Raises `NotAllowed`."""
    for row in session.scalars(sa.select(Registration).where(Registration.household_id.in_(household_ids))).all():
        reinstate(session, vault, row.id, why="registered again", by="household", now=now)


def taking_part(household_id: sa.ColumnElement[UUID] | InstrumentedAttribute[UUID]) -> sa.ColumnElement[bool]:
    """Of the households with an index, whose may move by a rule: not that of one that is out of the register, nor of
    one that was reinstated and is verified again.
    """
    gone = aliased(Registration)
    return ~sa.exists().where(gone.household_id == household_id, gone.state.in_(NOT_TAKING_PART))


def standing_out(session: Session, household_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these households that are withdrawn or struck off: not to be scored, not to be told."""
    return {household_id for household_id, state in states(session, household_ids).items() if state in OUT}


def states(session: Session, household_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The state of each of these households' registrations."""
    found = session.execute(sa.select(Registration.household_id, Registration.state).where(
        Registration.household_id.in_(list(household_ids))))
    return {household_id: state for household_id, state in found if household_id}


def _leave(session: Session, vault: Vault, registration_id: UUID, to: str, reason: str | None, why: str, by: str,
           now: datetime) -> None:
    _hold(session, registration_id)
    row = step(session, Registration, registration_id, to, TRANSITIONS, since=now, reason=reason)
    if row.household_id:
        inquiry.drop(session, [row.household_id])
    _record(session, vault, f"registration.{to}", row, why, by, now, reason=reason)


def _hold(session: Session, registration_id: UUID) -> None:
    """Nobody scores this household, or keeps an answer about it, until the transaction ends."""
    held = sa.select(Registration.household_id).where(Registration.id == registration_id).scalar_subquery()
    session.execute(sa.select(Household.id).where(Household.id == held).with_for_update(key_share=True))


def _move(session: Session, household_ids: Sequence[UUID], starts: Sequence[str], **values: Any) -> int:
    """Many at once, those alone that stand at one of `starts`. Returns how many."""
    return len(session.scalars(sa.update(Registration).where(
        among(session, Registration.household_id, household_ids), Registration.state.in_(starts))
        .values(**values).returning(Registration.id)).all())


def _record(session: Session, vault: Vault, act: str, row: Registration, why: str | None, by: str, now: datetime,
            **detail: Any) -> None:
    audit.record(session, vault, act, by=by, now=now, household_id=row.household_id, subject=row.id, why=why, **detail)
