"""Weighing: weight moves away from a provider that is slow to deliver or failing, and comes back by itself.

Ten points at a time, never from all at once, and never twice within five minutes, so that what was moved is seen to
work before more is. After a quiet quarter of an hour ten points go back towards where each rests. The idea is that of
GOV.UK Notify; the figures of errors, the points by network and the history are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import insert_new
from gateway.registry.steps import NotAllowed
from gateway.routes.measuring import Measured
from gateway.routes.record import SYSTEM, RouteChange, RouteStop, RouteWeight, note
from gateway.settings import Settings

STEP = 10
WHOLE = 100
APART = timedelta(minutes=5)
QUIET = timedelta(minutes=15)


def points(settings: Settings) -> dict[str, int]:
    """`SMS_PROVIDERS` in points of a hundred."""
    whole = sum(weight for _, weight in settings.sms_providers)
    return {name: round(WHOLE * weight / whole) for name, weight in settings.sms_providers}


def standing(session: Session, settings: Settings) -> dict[str, tuple[int, int]]:
    """What each provider weighs now and where it rests, for whoever looks."""
    kept = {row.id: (row.weight, row.base) for row in session.scalars(sa.select(RouteWeight))}
    return {name: kept.get(name, (part, part)) for name, part in points(settings).items()}


def weigh(session: Session, settings: Settings, measured: Mapping[str, Measured], now: datetime) -> list[RouteChange]:
    """Move what must be moved by these measures. Two that weigh at once do it once. Returns what was changed."""
    rows = _held(session, settings, now)
    last = max((row.changed_at for row in rows.values() if row.changed_at), default=now - QUIET)
    stopped = set(session.scalars(sa.select(RouteStop.id)))
    running = {name: row for name, row in rows.items() if row.base and name not in stopped}
    ill = {name for name in running if name in measured and measured[name].trouble}
    if ill and ill < running.keys() and now - last >= APART:
        return _away(session, running, ill, measured, now)
    if not ill and now - last >= QUIET:
        return _back(session, rows, now)
    return []


def set_weight(session: Session, settings: Settings, provider: str, weight: int, why: str, by: str,
               now: datetime) -> None:
    """An operator gives it so many points, and the others share what is left as they did. They rest there until
    `SMS_PROVIDERS` changes.

    Raises `NotAllowed` for one that `SMS_PROVIDERS` does not use, or where nobody would be left.
    """
    rows = _held(session, settings, now)
    if provider not in rows or not rows[provider].told:
        raise NotAllowed(f"{provider} sends no texts by SMS_PROVIDERS: give it a weight there.")
    others = {name: row for name, row in rows.items() if name != provider and row.told}
    if not weight and not others:
        raise NotAllowed("Nobody would be left to send; to send nothing: mouachir routes stop.")
    whole = sum(row.told for row in others.values())
    for name, row in {provider: rows[provider], **others}.items():
        row.base = weight if name == provider else round((WHOLE - weight) * row.told / whole)
        _become(session, row, row.base, f"set by an operator: {why}", now, by=by)


def _held(session: Session, settings: Settings, now: datetime) -> dict[str, RouteWeight]:
    """The weights, held until the transaction's end. What `SMS_PROVIDERS` says anew counts from now on."""
    told = points(settings)
    insert_new(session, RouteWeight, [
        {"id": name, "told": part, "base": part, "weight": part, "changed_at": None} for name, part in told.items()])
    rows = {row.id: row for row in session.scalars(sa.select(RouteWeight).where(RouteWeight.id.in_(told)).order_by(
        RouteWeight.id).with_for_update().execution_options(populate_existing=True))}
    if any(row.told != told[name] for name, row in rows.items()):
        for name, row in rows.items():
            _become(session, row, told[name], "SMS_PROVIDERS has changed", now)
            row.told = row.base = told[name]
    return rows


def _away(session: Session, running: Mapping[str, RouteWeight], ill: set[str], measured: Mapping[str, Measured],
          now: datetime) -> list[RouteChange]:
    """From the worst that has any weight, to those who are well."""
    loaded = [name for name in ill if running[name].weight]
    if not loaded:
        return []
    worst = max(loaded, key=lambda name: (measured[name].worst, name))
    well = sorted(running.keys() - ill)
    step = min(STEP, running[worst].weight)
    parts = {name: step // len(well) + (place < step % len(well)) for place, name in enumerate(well)} | {worst: -step}
    trouble, figures = f"{worst}: {measured[worst].trouble}", measured[worst].figures()
    changes = [_become(session, running[name], running[name].weight + part, trouble, now, figures)
               for name, part in parts.items()]
    return [change for change in changes if change]


def _back(session: Session, rows: Mapping[str, RouteWeight], now: datetime) -> list[RouteChange]:
    quiet = f"nothing was wrong for {QUIET.seconds // 60} minutes"
    changes = [_become(session, row, row.weight + max(-STEP, min(STEP, row.base - row.weight)), quiet, now)
               for row in rows.values()]
    return [change for change in changes if change]


def _become(session: Session, row: RouteWeight, weight: int, reason: str, now: datetime,
            figures: Mapping[str, object] | None = None, by: str = SYSTEM) -> RouteChange | None:
    if weight == row.weight:
        return None
    change = note(session, row.id, reason, now, by=by, was=row.weight, became=weight, figures=figures)
    row.weight, row.changed_at = weight, now
    return change
