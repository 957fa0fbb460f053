"""Record: what is kept of routes, in the database, so that it holds for every process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id

SYSTEM = "system"


class RouteWeight(Base):
    """What a provider weighs, in points of a hundred. `id` is its name.

    `told` is its part of `SMS_PROVIDERS`, `base` where it rests (the same, until an operator says otherwise), `weight`
    what it has now.
    """

    __tablename__ = "route_weight"

    id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    told: Mapped[int] = mapped_column(sa.SmallInteger)
    base: Mapped[int] = mapped_column(sa.SmallInteger)
    weight: Mapped[int] = mapped_column(sa.SmallInteger)
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RouteStop(Base):
    """A provider that gets no texts. `id` is its name; `code` what it refused us by, "" where an operator stopped it.

    From `probe_at` on one text may try whether it takes us again; None: until an operator resumes it. `probed_at` is
    when that was last tried.
    """

    __tablename__ = "route_stop"

    id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(80))
    reason: Mapped[str] = mapped_column(sa.String(200))
    by: Mapped[str] = mapped_column(sa.String(80))
    stopped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    probes: Mapped[int] = mapped_column(sa.SmallInteger)
    probe_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    probed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RouteChange(Base):
    """One line of the history: what became of a provider, and why. `was` and `became` are points, None for a stop."""

    __tablename__ = "route_change"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    was: Mapped[int | None] = mapped_column(sa.SmallInteger)
    became: Mapped[int | None] = mapped_column(sa.SmallInteger)
    reason: Mapped[str] = mapped_column(sa.String(200))
    by: Mapped[str] = mapped_column(sa.String(80))
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)


def note(session: Session, provider: str, reason: str, now: datetime, *, by: str = SYSTEM, was: int | None = None,
         became: int | None = None, figures: Mapping[str, Any] | None = None) -> RouteChange:
    """Write a line of the history."""
    change = RouteChange(at=now, provider=provider, was=was, became=became, reason=reason[:200], by=by[:80],
                         figures=dict(figures or {}))
    session.add(change)
    return change
