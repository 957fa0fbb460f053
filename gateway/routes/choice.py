"""Choice: one round's draw. What stands in the database is read once, and each text after that costs no question."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import bind
from gateway.outbox import REPLY, Due
from gateway.routes.record import RouteStop, RouteWeight
from gateway.settings import Settings, weights_in


@dataclass(frozen=True)
class Lot:
    """Those who may be drawn for alike texts, with their sums of weights."""

    names: tuple[str, ...]
    sums: tuple[float, ...]


@dataclass
class Routes:
    """The routes as they are at one moment, for a round of the relay.

    `share` is how much of its own weight each provider has left, `probing` who of the `stopped` may be tried by one
    text. Those to which nobody is bound are stopped for the round.
    """

    settings: Settings
    share: Mapping[str, float]
    stopped: frozenset[str]
    probing: set[str]
    random: random.Random = field(default_factory=random.Random)
    _lots: dict[tuple[str, str, tuple[str, ...], frozenset[str]], Lot] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, session: Session, settings: Settings, now: datetime) -> Routes:
        """As they are now."""
        stops = session.execute(sa.select(RouteStop.id, RouteStop.probe_at)).all()
        kept = session.execute(sa.select(RouteWeight.id, RouteWeight.told, RouteWeight.weight)).all()
        away = bind.unbound(session, now)
        return cls(settings, {name: weight / told for name, told, weight in kept if told},
                   away.union(name for name, _ in stops),
                   {name for name, at in stops if at is not None and at <= now} - away)

    def takes(self, most: int) -> int:
        """How many texts make sense to wake: as many as you like, or one for each who may be tried, or none."""
        able = {name for name, weight in self.settings.sms_providers if weight}
        able |= {rule.provider for rule in self.settings.sms_routes if rule.weight}
        return most if able - self.stopped else min(most, len(able & self.probing))

    def choose(self, due: Due, full: frozenset[str] = frozenset()) -> str | None:
        """Draw a provider: never a stopped one or one that is `full`, and one that has refused this text only if no
        other is left.

        None: nobody can carry it now. Who may be tried gets one text, and not a reply where another is there.
        """
        key = (due.network, due.locale, due.avoid, full)
        lot = self._lots.get(key) or self._lots.setdefault(key, self._lot(*key))
        if self.probing and (due.lane != REPLY or not lot.names):
            able = (self.probing - full) & self._weights(due.network, due.locale).keys()
            if able:
                self.probing.remove(name := min(able))
                return name
        return self.random.choices(lot.names, cum_weights=lot.sums)[0] if lot.names else None

    def _weights(self, network: str, locale: str) -> dict[str, int]:
        """Who can carry these at all."""
        found = weights_in(self.settings.sms_providers, self.settings.sms_routes, network, locale)
        return {name: weight for name, weight in found.items() if weight}

    def _lot(self, network: str, locale: str, avoid: tuple[str, ...],
             full: frozenset[str] = frozenset()) -> Lot:
        running = {name: weight for name, weight in self._weights(network, locale).items()
                   if name not in self.stopped | full}
        able = {name: weight for name, weight in running.items() if name not in avoid} or running
        # Who has lost all its weight still goes before nobody.
        left = {name: weight * self.share.get(name, 1.0) for name, weight in able.items()}
        drawn = {name: weight for name, weight in left.items() if weight} or able
        return Lot(tuple(drawn), tuple(accumulate(drawn.values())))
