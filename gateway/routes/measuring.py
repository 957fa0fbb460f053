"""Measuring: how a provider served in the last quarter of an hour, by a sample that costs the same at any size.

Of each minute the first `SAMPLE` sends are looked at, by an index, with what their receipts say. A send counts as slow
when it was not delivered within `SLOW`; one that may still come in time is no case yet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median, quantiles
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.codes import named
from gateway.db import among
from gateway.outbox import Attempt, ReceiptRecord

WINDOW = timedelta(minutes=15)
SLOW = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
SAMPLE = 100
# From this share on a provider is slow, or failing; of fewer cases nothing can be said.
TOO_MANY = 0.15
ENOUGH = 20

# What a send came to that is the provider's fault; and what is nobody's, or the breaker's, is no case.
FAULTS = ("unknown", "absent", "unavailable", "refused")
NO_CASE = ("throttled", "misconfigured")
NO_CODE = "no code"


@dataclass(frozen=True)
class Measured:
    """Of `sends` that count, `accepted` and `failing`; of `awaited` receipts, `slow` ones. `seconds` to delivery."""

    provider: str
    sends: int
    accepted: int
    delivered: int
    failing: int
    awaited: int
    slow: int
    seconds: tuple[float, ...]
    codes: Mapping[str, int]

    @property
    def trouble(self) -> str:
        """What is wrong with it, in words for an operator; "" for nothing."""
        if self._many(self.failing, self.sends):
            return f"{self.failing} of {self.sends} sends failed{self._mostly()}"
        if self._many(self.slow, self.awaited):
            return (f"{self.slow} of {self.awaited} texts were not delivered within "
                    f"{SLOW // MINUTE} minutes")
        return ""

    @property
    def worst(self) -> float:
        """The larger of its two shares, where there are cases enough."""
        return max((part / whole for part, whole in ((self.failing, self.sends), (self.slow, self.awaited))
                    if whole >= ENOUGH), default=0.0)

    @property
    def middle_s(self) -> float | None:
        """The median of seconds to delivery."""
        return median(self.seconds) if self.seconds else None

    @property
    def late_s(self) -> float | None:
        """The seconds within which nine of ten were delivered."""
        return quantiles(self.seconds, n=10, method="inclusive")[8] if len(self.seconds) > 1 else self.middle_s

    def figures(self) -> dict[str, Any]:
        """For the history."""
        return {"sends": self.sends, "failing": self.failing, "awaited": self.awaited, "slow": self.slow,
                "codes": dict(self.codes)}

    def _many(self, part: int, whole: int) -> bool:
        return whole >= ENOUGH and part / whole >= TOO_MANY

    def _mostly(self) -> str:
        if not self.codes:
            return ""
        code = max(self.codes, key=lambda one: self.codes[one])
        return f", most by {code} {named(self.provider, code)}".rstrip()


@dataclass(frozen=True)
class _Fate:
    """What became of one send: delivered when, or failed for a while and by which code."""

    delivered_at: datetime | None = None
    failed: bool = False
    passing: bool = False
    code: str = ""


def measure(session: Session, provider: str, now: datetime) -> Measured:
    """How it served since `WINDOW` ago."""
    sends = [send for send in session.execute(_sample(provider, now)) if send.outcome not in NO_CASE]
    fates = _fates(session, provider, [send.provider_id for send in sends if send.provider_id])
    tally: Counter[str] = Counter(sends=len(sends))
    codes: Counter[str] = Counter()
    seconds: list[float] = []
    for send in sends:
        fate = fates.get(send.provider_id, _Fate())
        if send.outcome in FAULTS or fate.passing:
            tally["failing"] += 1
            codes[(fate.code if fate.passing else send.code) or NO_CODE] += 1
        if send.outcome != "accepted":
            continue
        tally["accepted"] += 1
        if fate.delivered_at:
            seconds.append(max((fate.delivered_at - send.started_at).total_seconds(), 0.0))
        elif not fate.failed and now - send.started_at > SLOW:
            tally["overdue"] += 1
    slow = sum(one > SLOW.total_seconds() for one in seconds) + tally["overdue"]
    return Measured(provider, tally["sends"], tally["accepted"], len(seconds), tally["failing"],
                    len(seconds) + tally["overdue"], slow, tuple(seconds), dict(codes.most_common()))


def _sample(provider: str, now: datetime) -> sa.CompoundSelect[Any]:
    return sa.union_all(*(sa.select(sa.select(
        Attempt.provider_id, Attempt.outcome, Attempt.code, Attempt.started_at).where(
        Attempt.provider == provider, Attempt.started_at >= start, Attempt.started_at < start + MINUTE,
        Attempt.outcome.is_not(None)).order_by(Attempt.started_at).limit(SAMPLE).subquery())
        for start in _minutes(now)))


def _minutes(now: datetime) -> Iterator[datetime]:
    for back in range(WINDOW // MINUTE, 0, -1):
        yield now - back * MINUTE


def _fates(session: Session, provider: str, provider_ids: Sequence[str]) -> Mapping[str, _Fate]:
    """By the provider's names. A delivery is a delivery, whatever else was said."""
    found: dict[str, _Fate] = defaultdict(_Fate)
    if not provider_ids:
        return found
    told = session.execute(sa.select(
        ReceiptRecord.provider_id, ReceiptRecord.outcome, ReceiptRecord.received_at, ReceiptRecord.permanent,
        ReceiptRecord.error).where(
        among(session, ReceiptRecord.provider_id, provider_ids), ReceiptRecord.provider == provider,
        ReceiptRecord.outcome.in_(("delivered", "failed"))).order_by(ReceiptRecord.received_at))
    for one in told:
        if one.outcome == "failed" and found[one.provider_id].delivered_at is None:
            found[one.provider_id] = _Fate(None, True, not one.permanent, one.error or one.outcome)
        elif one.outcome == "delivered" and found[one.provider_id].delivered_at is None:
            found[one.provider_id] = _Fate(one.received_at)
    return found
