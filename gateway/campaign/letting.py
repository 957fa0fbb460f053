"""Letting: what is due of a campaign is let go, evenly over its window; what was called off is taken back.

Nothing but a campaign's row is touched by a pause, so it is as quick for a million as for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import cost, hours
from gateway.campaign.row import TRANSITIONS, Campaign
from gateway.cost import Budget, Prices
from gateway.db import Database, among
from gateway.outbox import ANNOUNCEMENT, Message
from gateway.registry.clock import day_of
from gateway.registry.steps import step
from gateway.settings import AsleepHours

# Let go, or taken back, in one transaction.
LOT = 10_000
MINUTE = timedelta(minutes=1)
# What a message of a campaign that was called off may still be in: at rest, or elsewhere and to come back, from a
# worker's hands or from a provider to whom it did not arrive for now.
RESTING, IN_HAND = ("held", "created"), ("sending", "unknown", "sent")


@dataclass(frozen=True)
class Progress:
    """How far a campaign has come. `states` counts its messages; `expected_end` is when the last one is let go."""

    name: str
    state: str
    total: int
    let_go: int
    states: Mapping[str, int]
    expected_end: datetime | None
    waits_for: str | None

    def as_json(self) -> dict[str, Any]:
        ends = self.expected_end.isoformat() if self.expected_end else None
        return {**vars(self), "states": dict(self.states), "expected_end": ends}


@dataclass(frozen=True)
class Pacer:
    """What it takes to let messages go."""

    prices: Prices
    budget: Budget
    asleep: AsleepHours
    providers: Sequence[str]

    def let_go(self, database: Database, now: datetime) -> int:
        """Let go what is due of every campaign that runs, as far as the day's budget goes. Returns how many."""
        with database.read() as session:
            running = session.scalars(sa.select(Campaign.id).where(Campaign.state == "running")
                                      .order_by(Campaign.id)).all()
        if running and (self.budget.parts is not None or self.budget.mad is not None):
            with database.write() as session:
                cost.count_sent(session, self.prices, now)
        return sum(self._let_go(database, campaign_id, now) for campaign_id in running)

    def _let_go(self, database: Database, campaign_id: UUID, now: datetime) -> int:
        with database.write() as session:
            row = session.scalars(sa.select(Campaign).where(Campaign.id == campaign_id, Campaign.state == "running")
                                  .with_for_update(skip_locked=True)).first()
            if row is None or now < row.starts_at or hours.awake(now, self.asleep, ANNOUNCEMENT) != now:
                return 0
            wanted, row.paced_at = due(row, now, self.asleep)
            if wanted == 0 and row.let_go < row.total:
                return 0
            # In no order: to put a million in order every five seconds would cost more than to let some go.
            found = session.execute(_of(row, "held", Message.id, Message.network, Message.parts).limit(wanted)
                                    .with_for_update(skip_locked=True)).all()
            affordable = self._take(session, found, now)
            if affordable:
                session.execute(sa.update(Message).where(among(session, Message.id, affordable)).values(
                    state="created", not_before=now, changed_at=now).execution_options(synchronize_session=False))
            _keep(row, len(affordable), wanted, now)
            row.waits_for = "budget" if len(affordable) < len(found) else None
            if len(found) < wanted or row.let_go >= row.total:
                _finish(session, row, now)
            return len(affordable)

    def _take(self, session: Session, found: Sequence[Any], now: datetime) -> list[UUID]:
        """As many of these as the budget of the day still bears, and take that out of it."""
        room, parts, mad = cost.left(session, day_of(now), self.budget), 0, Decimal()
        ids: list[UUID] = []
        for message_id, network, needed in found:
            price = self.prices.dearest(self.providers, network, needed)
            if not room.covers(parts + needed, mad + price):
                break
            parts, mad = parts + needed, mad + price
            ids.append(message_id)
        return ids if ids and cost.take(session, day_of(now), parts, mad, self.budget) else []


def due(row: Campaign, now: datetime, asleep: AsleepHours) -> tuple[int, datetime]:
    """How many are to be let go now, and up to when that is seen to: part of a message may be due by then already.

    An even share of what is left, so that the last goes a minute before the end, and no more than the minute bears.
    Time in which nobody let anything go is not made up for at once: what is left is spread over what is left.
    """
    remaining = row.total - row.let_go
    left = hours.waking(now, row.ends_at - MINUTE, asleep, ANNOUNCEMENT)
    behind = max(MINUTE, 2 * left / remaining) if remaining > 0 else MINUTE
    since = max(row.paced_at or row.starts_at, row.starts_at)
    waited = hours.waking(since, now, asleep, ANNOUNCEMENT)
    passed = min(waited, behind)
    share = remaining * (passed / (passed + left)) if left else float(remaining)
    if share < 1:
        return 0, since
    number = int(share)
    in_minute = row.in_minute if row.minute == _minute(now) else 0
    seen_to = waited - passed * ((share - number) / share)
    return max(min(number, row.per_minute - in_minute, LOT), 0), hours.after(since, seen_to, asleep, ANNOUNCEMENT)


def take_back(session: Session, row: Campaign, now: datetime, lot: int = LOT) -> int:
    """Take back one lot of a campaign that was called off. Returns how many; at 0 all that rests is taken back."""
    ids: Sequence[UUID] = ()
    for state in RESTING:
        ids = ids or session.scalars(_of(row, state).limit(lot).with_for_update(skip_locked=True)).all()
    if ids:
        session.execute(sa.update(Message).where(among(session, Message.id, ids), Message.state.in_(RESTING)).values(
            state="cancelled", changed_at=now).execution_options(synchronize_session=False))
    # In one statement: between two of them one might come back, and be seen by neither.
    elif not session.scalar(sa.select(sa.or_(*(_of(row, state).exists() for state in (*RESTING, *IN_HAND))))):
        row.cleared_at = now
    return len(ids)


def called_off(session: Session) -> Sequence[Campaign]:
    """Campaigns of which something may still have to be taken back."""
    return session.scalars(sa.select(Campaign).where(Campaign.state == "cancelled", Campaign.cleared_at.is_(None))
                           .with_for_update(skip_locked=True)).all()


def progress(session: Session, row: Campaign, now: datetime, asleep: AsleepHours) -> Progress:
    """Where the messages of a campaign are, and when the last of them will be let go."""
    states: dict[str, int] = {}
    if row.first_id and row.last_id:
        states = {state: count for state, count in session.execute(
            sa.select(Message.state, sa.func.count()).where(
                Message.id.between(row.first_id, row.last_id), Message.campaign_id == row.id)
            .group_by(Message.state))}
    return Progress(row.name, row.state, row.total, row.let_go, states, expected_end(row, now, asleep), row.waits_for)


def expected_end(row: Campaign, now: datetime, asleep: AsleepHours) -> datetime | None:
    """When the last message is let go, if nothing comes in between; None while it is not under way."""
    if row.state != "running":
        return None
    needed = MINUTE * (row.total - row.let_go) / row.per_minute
    return max(row.ends_at, hours.after(max(row.starts_at, now), needed, asleep, ANNOUNCEMENT))


def _of(row: Campaign, state: str, *columns: Any) -> sa.Select[Any]:
    """Its messages in this state, which is written out so that the database finds the index that is made for it."""
    return sa.select(*(columns or (Message.id,))).where(
        Message.medium == "sms", Message.lane == ANNOUNCEMENT, Message.campaign_id == row.id,
        Message.state == sa.literal_column(f"'{state}'"))


def _keep(row: Campaign, number: int, wanted: int, now: datetime) -> None:
    if row.minute != _minute(now):
        row.minute, row.in_minute = _minute(now), 0
    row.let_go, row.in_minute, row.changed_at = row.let_go + number, row.in_minute + number, now
    if number < wanted:
        row.paced_at = now


def _finish(session: Session, row: Campaign, now: datetime) -> None:
    """Some may have been taken back in the meantime, because their number wants no texts any more."""
    if not session.scalar(_of(row, "held").limit(1)):
        step(session, Campaign, row.id, "finished", TRANSITIONS, changed_at=now)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
