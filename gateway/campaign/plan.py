"""Plan: what a campaign will cost and how long it takes, before anything is sent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from channels.text import encoding, parts
from gateway import cost, hours
from gateway.campaign import audience as audiences
from gateway.campaign.audience import Audience
from gateway.campaign.row import Campaign, Wording
from gateway.cost import Budget, Prices
from gateway.outbox import ANNOUNCEMENT
from gateway.registry.clock import A_DAY, day_of, start_of
from gateway.settings import AsleepHours
from gateway.vault import Vault

TOLD_EVERY = 1_000


@dataclass(frozen=True)
class Share:
    """The telephones of one language on one network ("" where the plan of numbers names none)."""

    locale: str
    network: str
    recipients: int
    parts: int


@dataclass(frozen=True)
class Day:
    """What a campaign takes on one day, and what is left of that day's budget before it."""

    day: date
    parts: int
    mad: Decimal
    left: Budget

    @property
    def covered(self) -> bool:
        return self.left.covers(self.parts, self.mad)

    def as_json(self) -> dict[str, Any]:
        return {"day": str(self.day), "parts": self.parts, "mad": f"{self.mad:f}", "covered": self.covered,
                "left_parts": self.left.parts, "left_mad": None if self.left.mad is None else f"{self.left.mad:f}"}


@dataclass(frozen=True)
class Burden:
    """How long it takes at its pace, how much waking time its window has, when it ends, and what each day bears."""

    at_pace: timedelta
    window: timedelta
    ends_at: datetime
    days: tuple[Day, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first text goes. `unreadable` are contacts that no key opens."""

    wordings: Mapping[str, Wording] = field(repr=False)
    shares: tuple[Share, ...]
    households: int
    unreached: int
    unreadable: int
    prices: Mapping[str, Mapping[str, Decimal]]
    most: Decimal
    example_prices: bool
    at_rate: timedelta | None
    burden: Burden

    @property
    def recipients(self) -> int:
        return sum(share.recipients for share in self.shares)

    @property
    def parts(self) -> int:
        return sum(share.parts for share in self.shares)

    def as_json(self) -> dict[str, Any]:
        return {
            "recipients": self.recipients, "parts": self.parts, "households": self.households,
            "households_without_a_text": self.unreached, "contacts_unreadable": self.unreadable,
            "languages": [self._language(locale) for locale in self.wordings],
            "networks": [vars(share) for share in self.shares],
            "mad": {provider: {network: f"{price:f}" for network, price in by.items()}
                    for provider, by in self.prices.items()},
            "mad_at_most": f"{self.most:f}", "prices_are_an_example": self.example_prices,
            "seconds_at_pace": round(self.burden.at_pace.total_seconds()),
            "seconds_at_rate": None if self.at_rate is None else round(self.at_rate.total_seconds()),
            "waking_seconds": round(self.burden.window.total_seconds()),
            "expected_end": self.burden.ends_at.isoformat(),
            "days": [one.as_json() for one in self.burden.days],
        }

    def _language(self, locale: str) -> dict[str, Any]:
        text = self.wordings[locale].body
        mine = [share for share in self.shares if share.locale == locale]
        return {"locale": locale, "encoding": encoding(text), "parts_each": parts(text), "text": text,
                "recipients": sum(share.recipients for share in mine), "parts": sum(share.parts for share in mine)}


@dataclass(frozen=True)
class Planner:
    """What it takes to reckon. `rates` are parts a second of the `providers` that send."""

    vault: Vault
    prices: Prices
    budget: Budget
    asleep: AsleepHours
    providers: Sequence[str]
    rates: Mapping[str, float]

    def plan(self, session: Session, row: Campaign, others: Iterable[Campaign], now: datetime,
             heard: Callable[[int], None] = lambda _: None) -> Plan:
        """Go through all telephones once. `heard` is told how many more there are; `others` are under way."""
        audience = Audience.parse(row.audience)
        unreadable: list[UUID] = []
        shares = self._shares(session, row, audience, heard, unreadable.append)
        every, unreached = audiences.households(session, audience)
        prices = {provider: self._prices(provider, shares) for provider in self.providers}
        most = sum((self.prices.dearest(self.providers, share.network, share.parts) for share in shares), Decimal())
        count, total = sum(share.recipients for share in shares), sum(share.parts for share in shares)
        return Plan(row.wordings, shares, every, unreached, len(unreadable), prices, most, self.prices.example,
                    self._at_rate(total), self.burden(session, row, count, total, most, others, now))

    def burden(self, session: Session, row: Campaign, recipients: int, total: int, most: Decimal,
               others: Iterable[Campaign], now: datetime) -> Burden:
        """What so many recipients, parts and dirhams mean for the call centre and for the budget."""
        start = max(row.starts_at, now)
        at_pace = timedelta(minutes=1) * recipients / row.per_minute
        paced = hours.after(start, at_pace, self.asleep, ANNOUNCEMENT)
        return Burden(at_pace, hours.waking(start, row.ends_at, self.asleep, ANNOUNCEMENT), max(row.ends_at, paced),
                      tuple(self._days(session, row, total, most, others, now)))

    def _shares(self, session: Session, row: Campaign, audience: Audience,
                heard: Callable[[int], None], unreadable: Callable[[UUID], None]) -> tuple[Share, ...]:
        found: Counter[tuple[str, str]] = Counter()
        number = 0
        with closing(audiences.recipients(session, self.vault, audience, unreadable)) as everybody:
            for number, one in enumerate(everybody, 1):
                found[one.locale, one.network] += 1
                if number % TOLD_EVERY == 0:
                    heard(TOLD_EVERY)
        heard(number % TOLD_EVERY)
        each = {locale: parts(wording.body) for locale, wording in row.wordings.items()}
        return tuple(Share(locale, network, count, count * each[locale])
                     for (locale, network), count in sorted(found.items()))

    def _prices(self, provider: str, shares: Sequence[Share]) -> dict[str, Decimal]:
        """What each network costs by this provider alone."""
        summed: Counter[str] = Counter()
        for share in shares:
            summed[share.network] += share.parts
        return {network: self.prices.of(provider, network, total) for network, total in sorted(summed.items())}

    def _at_rate(self, total: int) -> timedelta | None:
        """How long it takes at the providers' own rates; None where one of them has no limit."""
        rates = [self.rates.get(provider, math.inf) for provider in self.providers]
        return None if math.inf in rates else timedelta(seconds=total / sum(rates))

    def _days(self, session: Session, row: Campaign, total: int, most: Decimal, others: Iterable[Campaign],
              now: datetime) -> Iterable[Day]:
        """The even spread, day by day, beside what the campaigns that are under way will take."""
        under_way = [(other, self._spread(other, now)) for other in others if other.id != row.id]
        for day, part in self._spread(row, now).items():
            left = cost.left(session, day, self.budget)
            for other, spread in under_way:
                rest = (1 - other.let_go / other.total if other.total else 1.0) * spread.get(day, 0.0)
                left = left.less(math.ceil(other.parts * rest), cost.dirhams(math.ceil(other.price * rest)))
            yield Day(day, math.ceil(total * part), cost.dirhams(math.ceil(cost.tenths(most) * part)), left)

    def _spread(self, row: Campaign, now: datetime) -> dict[date, float]:
        """Which part of what is left of a campaign falls on each day."""
        start = max(row.starts_at, now)
        whole = hours.waking(start, row.ends_at, self.asleep, ANNOUNCEMENT)
        if not whole:
            return {day_of(start): 1.0}
        days = [day_of(start) + number * A_DAY for number in range((day_of(row.ends_at) - day_of(start)).days + 1)]
        spans = {day: hours.waking(max(start, start_of(day)), min(row.ends_at, start_of(day + A_DAY)), self.asleep,
                                   ANNOUNCEMENT) / whole for day in days}
        return {day: part for day, part in spans.items() if part}
