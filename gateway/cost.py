"""Cost: what a text will cost and what texts have cost, and the budget of a day, which campaigns keep to.

Prices are those of `prices.toml`; what a provider says that it charged stands beside each attempt in its own words.
Money is exact: whole ten-thousandths of a dirham.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new
from gateway.outbox.message import ANNOUNCEMENT, Attempt, Message
from gateway.registry.clock import A_DAY, day_of, start_of
from gateway.registry.steps import NotAllowed

FILE = Path(__file__).with_name("prices.toml")
OTHER = "other"
TEN_THOUSANDTH = Decimal("0.0001")
# A send has ended by then, well or badly: what it took is known.
ENDED_WITHIN = timedelta(minutes=2)
# A provider's own words for what it charged: `KES 0.8000`, `USD -0.0075`.
CHARGED = re.compile(r"([A-Z]{3}) ?-?([0-9]+(?:\.[0-9]+)?)")

_PRICE = {"type": "string", "pattern": r"^[0-9]{1,4}\.[0-9]{4}$"}
PRICES_FILE = jsonschema_rs.validator_for({
    "type": "object", "required": ["source", "example", "mad_per_part"], "additionalProperties": False,
    "properties": {
        "source": {"type": "string", "minLength": 1},
        "example": {"type": "boolean"},
        "mad_per_part": {"type": "object", "minProperties": 1, "additionalProperties": {
            "type": "object", "required": [OTHER], "properties": {OTHER: _PRICE}, "additionalProperties": False,
            "patternProperties": {"^[0-9]{5,6}$": _PRICE}}},
    },
})


class BadPrices(NotAllowed):
    """A file of prices that nothing may be reckoned with; the message names the place."""


@dataclass(frozen=True)
class Prices:
    """Dirhams a part, by provider and network. `example`: they are of no contract."""

    mad: Mapping[str, Mapping[str, Decimal]]
    example: bool

    @classmethod
    def load(cls, file: Path = FILE) -> Prices:
        """Raises `BadPrices`."""
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        for error in PRICES_FILE.iter_errors(table):
            place = ".".join(map(str, error.instance_path))
            raise BadPrices(f"{file.name}: {place}: {error.message}")
        return cls({provider: {network: Decimal(price) for network, price in prices.items()}
                    for provider, prices in table["mad_per_part"].items()}, table["example"])

    def of(self, provider: str, network: str, parts: int) -> Decimal:
        """What so many parts cost. Raises `BadPrices` for a provider without any."""
        if provider not in self.mad:
            raise BadPrices(f"{FILE.name}: no price is written for {provider}")
        prices = self.mad[provider]
        return parts * prices.get(network, prices[OTHER])

    def dearest(self, providers: Iterable[str], network: str, parts: int) -> Decimal:
        """What so many parts cost at most, whichever of these providers carries them."""
        return max(self.of(provider, network, parts) for provider in providers)


@dataclass(frozen=True)
class Budget:
    """What may be sent on one day, in parts and in dirhams; None: as much as there is."""

    parts: int | None = None
    mad: Decimal | None = None

    def less(self, parts: int, mad: Decimal) -> Budget:
        """What is left of it, when so much is gone. It may be less than nothing: replies are never refused."""
        return Budget(None if self.parts is None else self.parts - parts, None if self.mad is None else self.mad - mad)

    def covers(self, parts: int, mad: Decimal) -> bool:
        return (self.parts is None or parts <= self.parts) and (self.mad is None or mad <= self.mad)


class Spending(Base):
    """What one day (of Casablanca) has taken: campaigns when they are let go, all else once it was sent.

    `price` is in ten-thousandths of a dirham. What was sent before `counted_until` is counted.
    """

    __tablename__ = "spending"

    id: Mapped[date] = mapped_column(primary_key=True)
    parts: Mapped[int] = mapped_column(sa.BigInteger)
    price: Mapped[int] = mapped_column(sa.BigInteger)
    counted_until: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Spent:
    """What was sent by one provider on one day.

    `reckoned` is by our prices (None: it has none), `charged` the sums that it told, by currency, for `told` texts.
    """

    day: date
    provider: str
    texts: int
    parts: int
    reckoned: Decimal | None
    told: int
    charged: Mapping[str, Decimal]

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "day": str(self.day), "reckoned": None if self.reckoned is None else f"{self.reckoned:f}",
                "charged": {currency: f"{amount:f}" for currency, amount in self.charged.items()}}


def left(session: Session, day: date, budget: Budget) -> Budget:
    """What this day's budget still holds."""
    found = session.execute(sa.select(Spending.parts, Spending.price).where(Spending.id == day)).first()
    return budget.less(found.parts, dirhams(found.price)) if found else budget


def take(session: Session, day: date, parts: int, mad: Decimal, budget: Budget) -> bool:
    """Take so much out of this day's budget, all of it or nothing."""
    _open(session, day)
    price = tenths(mad)
    room = [Spending.parts + parts <= budget.parts] if budget.parts is not None else []
    room += [Spending.price + price <= tenths(budget.mad)] if budget.mad is not None else []
    taken = session.scalar(sa.update(Spending).where(Spending.id == day, *room).values(
        parts=Spending.parts + parts, price=Spending.price + price).returning(Spending.id)
        .execution_options(synchronize_session=False))
    return taken is not None


def count_sent(session: Session, prices: Prices, now: datetime) -> None:
    """Count what was sent today beside campaigns, up to the sends that may be under way.

    The index of sends by time begins with the provider: they are asked for by name, all that have a price.
    """
    day, until = day_of(now), now - ENDED_WITHIN
    _open(session, day)
    row = session.scalars(sa.select(Spending).where(Spending.id == day).with_for_update(skip_locked=True)).first()
    if row is None or until <= row.counted_until:
        return
    for provider, network, _, parts in session.execute(_sent(row.counted_until, until, Message.network).where(
            Attempt.provider.in_(prices.mad), Message.lane != ANNOUNCEMENT)):
        row.parts += parts
        row.price += tenths(prices.of(provider, network, parts))
    row.counted_until = until


def spent(session: Session, first: date, last: date, prices: Prices) -> list[Spent]:
    """What each provider was handed on each day from `first` to `last`, by what was accepted."""
    return [one for number in range((last - first).days + 1)
            for one in _spent_on(session, first + number * A_DAY, prices)]


def dirhams(price: int) -> Decimal:
    """Whole ten-thousandths as dirhams."""
    return price * TEN_THOUSANDTH


def tenths(mad: Decimal) -> int:
    """Dirhams as whole ten-thousandths."""
    return int(mad / TEN_THOUSANDTH)


def _open(session: Session, day: date) -> None:
    insert_new(session, Spending, [{"id": day, "parts": 0, "price": 0, "counted_until": start_of(day)}])


def _sent(start: datetime, end: datetime, *by: sa.ColumnElement[Any] | Any) -> sa.Select[Any]:
    """Texts and parts of what was accepted, or may have been, in this time; parts as the provider counted them."""
    return sa.select(Attempt.provider, *by, sa.func.count(), sa.func.sum(
        sa.func.coalesce(Attempt.parts, Message.parts))).join(Message, Message.id == Attempt.message_id).where(
            Attempt.started_at >= start, Attempt.started_at < end, Message.medium == "sms",
            Attempt.outcome.in_(("accepted", "unknown"))).group_by(Attempt.provider, *by)


def _spent_on(session: Session, day: date, prices: Prices) -> list[Spent]:
    start, end = start_of(day), start_of(day + A_DAY)
    texts: dict[str, int] = defaultdict(int)
    parts: dict[str, int] = defaultdict(int)
    reckoned: dict[str, Decimal] = defaultdict(Decimal)
    for provider, network, number, charged_parts in session.execute(_sent(start, end, Message.network)):
        texts[provider] += number
        parts[provider] += charged_parts
        reckoned[provider] += prices.of(provider, network, charged_parts) if provider in prices.mad else 0
    told, charged = _charged(session, start, end)
    return [Spent(day, provider, number, parts[provider], reckoned[provider] if provider in prices.mad else None,
                  told[provider], charged[provider]) for provider, number in sorted(texts.items())]


def _charged(session: Session, start: datetime, end: datetime) -> tuple[Mapping[str, int],
                                                                        Mapping[str, Mapping[str, Decimal]]]:
    """How many attempts have a price that the provider told, and their sums: alike ones are added up before."""
    told: dict[str, int] = defaultdict(int)
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for provider, cost, number, _ in session.execute(_sent(start, end, Attempt.cost).where(Attempt.cost.is_not(None))):
        written = CHARGED.fullmatch(cost)
        if written:
            told[provider] += number
            sums[provider][written[1]] += number * Decimal(written[2])
    return told, sums
