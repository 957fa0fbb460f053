"""Deadlines: what the passing of time does to registrations, reviews, complaints, updates and texts, and who is told.

Time moves states here and nowhere else: a promise is found broken on the minute, and not when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from gateway import outbox
from gateway.registry import complaint_clock, data_round, number_change, promise, review_clock
from gateway.registry.events import Event
from gateway.runtime import Runtime


def strike(runtime: Runtime, clock: str) -> int:
    """Let one of `CLOCKS` strike, in a transaction of its own. Returns how many messages were posted."""
    now = runtime.clock()
    with runtime.database.write() as session:
        return runtime.teller.tell(session, CLOCKS[clock](runtime, session, now), now)


def _registrations(runtime: Runtime, session: Session, now: datetime) -> list[Event]:
    warned_after = timedelta(days=runtime.settings.late_warning_days)
    return promise.due(session, runtime.vault, now, warned_after)


def _reviews(runtime: Runtime, session: Session, now: datetime) -> list[Event]:
    return review_clock.due(session, runtime.vault, now)


def _complaints(runtime: Runtime, session: Session, now: datetime) -> list[Event]:
    return complaint_clock.due(session, runtime.vault, now)


def _numbers(runtime: Runtime, session: Session, now: datetime) -> list[Event]:
    return number_change.due(session, runtime.vault, now, timedelta(hours=runtime.settings.number_wait_hours))


def _rounds(runtime: Runtime, session: Session, now: datetime) -> list[Event]:
    return data_round.due(session, runtime.vault, now)


def _texts(runtime: Runtime, session: Session, now: datetime) -> list[Event]:
    """What must be told by a day and waits in vain to be texted goes by letter, early enough to be posted."""
    by_letter = [name for name in runtime.words.notices() if "letter" in runtime.words.about(name).media]
    for settlement in outbox.make_way(session, by_letter, runtime.post.last_chance(now), now):
        runtime.teller.heard(session, settlement, now)
    return []


CLOCKS: Mapping[str, Callable[[Runtime, Session, datetime], list[Event]]] = {
    "registrations": _registrations,
    "reviews": _reviews,
    "complaints": _complaints,
    "numbers": _numbers,
    "rounds": _rounds,
    "texts": _texts,
}
