"""Desk: what a clerk does with a campaign, each act written down."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import cost, hours, outbox
from gateway.campaign import making
from gateway.campaign.audience import Audience
from gateway.campaign.plan import Burden, Plan, Planner
from gateway.campaign.row import TRANSITIONS, Campaign, find
from gateway.db import Database, new_id
from gateway.outbox import ANNOUNCEMENT, LANES
from gateway.registry import audit
from gateway.registry.review_desk import clerk
from gateway.registry.steps import NotAllowed, refusal, step
from gateway.vault import Vault
from gateway.words import LOCALES, Words

NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
# Shorter ones are told in minutes.
IN_MINUTES = timedelta(hours=2)
# What is approved today is true for so long at most; and each day of a window is reckoned.
ENDS_WITHIN = timedelta(days=366)

Heard = Callable[[int], None]


def _nobody(_: int) -> None:
    """Nobody wants to hear how far it is."""


@dataclass(frozen=True)
class Asked:
    """What a clerk asks for."""

    name: str
    notice: str
    audience: Audience
    starts_at: datetime
    ends_at: datetime
    per_minute: int


@dataclass(frozen=True)
class Desk:
    """What it takes to lead a campaign. From more than `four_eyes` telephones on it takes two people."""

    vault: Vault
    words: Words
    planner: Planner
    service_code: str
    four_eyes: int

    def ask(self, session: Session, asked: Asked, *, by: str, now: datetime) -> Campaign:
        """A draft, with its texts as they will be sent. Raises `NotAllowed`."""
        self._check(session, asked, now)
        row = Campaign(
            id=new_id(), name=asked.name, notice=asked.notice, audience=asked.audience.as_json(),
            texts={locale: self._wording(asked.notice, locale) for locale in LOCALES}, starts_at=asked.starts_at,
            ends_at=asked.ends_at, per_minute=asked.per_minute, state="draft", asked_by=clerk(by), created_at=now,
            changed_at=now)
        session.add(row)
        session.flush()
        self._record(session, row, "asked", by, now, notice=asked.notice, audience=row.audience,
                     per_minute=asked.per_minute)
        return row

    def plan(self, session: Session, row: Campaign, now: datetime, heard: Heard = _nobody) -> Plan:
        """What it would cost, and how long it would take."""
        return self.planner.plan(session, row, _under_way(session), now, heard)

    def approve(self, session: Session, name: str, *, by: str, now: datetime, heard: Heard = _nobody) -> Plan:
        """Raises `NotAllowed`: by whom, what the window does not hold, and what the budget does not cover."""
        row = find(session, name)
        if row.state != "draft":
            raise NotAllowed(refusal("campaign", row.state, "approved", TRANSITIONS))
        plan = self.plan(session, row, now, heard)
        if plan.recipients > self.four_eyes and clerk(by).casefold() == row.asked_by.casefold():
            raise NotAllowed(f"This campaign goes to {plan.recipients} telephones; from {self.four_eyes} on somebody "
                             f"else than {row.asked_by} approves it.")
        _bearable(row, plan.recipients, plan.burden)
        step(session, Campaign, row.id, "approved", TRANSITIONS, approved_by=clerk(by), changed_at=now,
             recipients=plan.recipients, unreached=plan.unreached, parts=plan.parts, price=cost.tenths(plan.most))
        self._record(session, row, "approved", by, now, recipients=plan.recipients, parts=plan.parts)
        return plan

    def start(self, database: Database, name: str, *, by: str, clock: Callable[[], datetime],
              heard: Heard = _nobody) -> Campaign:
        """Make its messages, and let them go as they fall due. Cut off, it is simply started once more.

        Raises `NotAllowed` where the window does not hold it, or the budget does not cover it any more.
        """
        with database.read() as session:
            row = find(session, name)
            if row.state != "approved":
                raise NotAllowed(refusal("campaign", row.state, "running", TRANSITIONS))
            _bearable(row, row.recipients, self.planner.burden(
                session, row, row.recipients, row.parts, cost.dirhams(row.price), _under_way(session), clock()))
        making.make(database, self.vault, row.id, self.words.about(row.notice).policy, clock(), heard)
        return self._run(database, row.id, by, clock())

    def pause(self, session: Session, name: str, *, by: str, now: datetime) -> Campaign:
        """Nothing more is let go. Raises `NotAllowed`."""
        return self._step(session, name, "paused", by, now)

    def resume(self, session: Session, name: str, *, by: str, now: datetime) -> Campaign:
        """What is left is spread over what is left of the window. Raises `NotAllowed`, where that is nothing too."""
        row = find(session, name)
        if row.state != "paused":
            raise NotAllowed(refusal("campaign", row.state, "running", TRANSITIONS))
        if not hours.waking(now, row.ends_at, self.planner.asleep, ANNOUNCEMENT):
            raise NotAllowed("Nothing is left of this campaign's window, and what is left of the campaign would go all "
                             "at once: cancel it, and ask for a new one for those who have not been told.")
        return self._step(session, name, "running", by, now, act="resumed", paced_at=now)

    def cancel(self, session: Session, name: str, *, by: str, now: datetime) -> Campaign:
        """Nothing more of it is sent; its messages are taken back by and by. Raises `NotAllowed`."""
        return self._step(session, name, "cancelled", by, now)

    def _run(self, database: Database, campaign_id: UUID, by: str, now: datetime) -> Campaign:
        with database.write() as session:
            total, first, last = making.made(session, campaign_id)
            row = step(session, Campaign, campaign_id, "running", TRANSITIONS, Campaign.state == "approved",
                       total=total, first_id=first, last_id=last, paced_at=now, changed_at=now)
            self._record(session, row, "started", by, now, messages=total)
            return row

    def _step(self, session: Session, name: str, to: str, by: str, now: datetime, act: str = "",
              **values: Any) -> Campaign:
        row = step(session, Campaign, find(session, name).id, to, TRANSITIONS, changed_at=now, **values)
        self._record(session, row, act or to, by, now, let_go=row.let_go)
        return row

    def _record(self, session: Session, row: Campaign, act: str, by: str, now: datetime, **detail: Any) -> None:
        audit.record(session, self.vault, f"campaign.{act}", by=clerk(by), now=now, subject=row.id, name=row.name,
                     **detail)

    def _check(self, session: Session, asked: Asked, now: datetime) -> None:
        if not NAME.fullmatch(asked.name):
            raise NotAllowed("A campaign's name has 2 to 40 signs: small letters, digits and dashes.")
        if session.scalar(sa.select(Campaign.id).where(Campaign.name == asked.name)):
            raise NotAllowed(f"There is a campaign {asked.name} already; give this one another name.")
        if asked.notice not in self.announcements:
            raise NotAllowed(f"No announcement is named {asked.notice}; there are {', '.join(self.announcements)}. "
                             "Another text is first written in templates/notices, and approved.")
        if asked.ends_at <= max(asked.starts_at, now):
            raise NotAllowed("The window ends before it begins, or has passed.")
        if asked.ends_at > now + ENDS_WITHIN:
            raise NotAllowed(f"The window ends in more than {ENDS_WITHIN.days} days: end it sooner.")
        if asked.per_minute < 1:
            raise NotAllowed("At least one telephone a minute.")

    def replaced(self, notice: str, locale: str) -> dict[str, str]:
        """What was replaced in this language's words to make them cheaper: nothing is, in silence."""
        found = self.words.folded(notice, locale, reference=outbox.new_reference(), service_code=self.service_code)
        return dict(found.replaced)

    @property
    def announcements(self) -> tuple[str, ...]:
        """The notices that may go to all: texts alone, of the last lane."""
        return tuple(name for name in self.words.notices() if self.words.about(name).lane == LANES[ANNOUNCEMENT]
                     and self.words.about(name).media == ("sms",))

    def _wording(self, notice: str, locale: str) -> dict[str, str]:
        reference = outbox.new_reference()
        return {"reference": reference, "body": self.words.notice(notice, "sms", locale, reference=reference,
                                                                  service_code=self.service_code)}


def _under_way(session: Session) -> Sequence[Campaign]:
    return session.scalars(sa.select(Campaign).where(Campaign.state.in_(("running", "paused")))).all()


def _bearable(row: Campaign, recipients: int, burden: Burden) -> None:
    """Raises `NotAllowed` with what stands in the way."""
    if burden.at_pace > burden.window:
        raise NotAllowed(
            f"{recipients} telephones at {row.per_minute} a minute take {_lasting(burden.at_pace)} outside the quiet "
            f"hours, and the window has {_lasting(burden.window)}: widen it, or raise the pace.")
    for day in burden.days:
        if not day.covered:
            room = [f"{max(day.left.parts, 0)} parts"] if day.left.parts is not None else []
            room += [f"{max(day.left.mad, Decimal()):.2f} MAD"] if day.left.mad is not None else []
            raise NotAllowed(
                f"On {day.day} it takes {day.parts} parts, at most {day.mad:.2f} MAD, and the budget of that day has "
                f"{' and '.join(room)} left: spread it over more days, or raise the budget.")


def _lasting(span: timedelta) -> str:
    if span < IN_MINUTES:
        return f"{span / timedelta(minutes=1):.3g} minutes"
    return f"{span / timedelta(hours=1):.1f} hours"
