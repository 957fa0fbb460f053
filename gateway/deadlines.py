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

TEXTS = "texts"
# So many lots of texts make way at each strike: an evening on which a provider failed is one of many thousands, and the
# other clocks wait meanwhile.
LOTS = 20


def strike(runtime: Runtime, clock: str) -> int:
    """Let one of `CLOCKS` strike, in a transaction of its own, or, where texts make way, of each lot.

    Returns how many messages were posted.
    """
    now = runtime.clock()
    if clock == TEXTS:
        return _texts(runtime, now)
    with runtime.database.write() as session:
        return runtime.teller.tell(session, TELLING[clock](runtime, session, now), now)


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


def _texts(runtime: Runtime, now: datetime) -> int:
    """What must be told by a day and waits in vain to be texted goes by letter, early enough to be posted."""
    by_letter = [name for name in runtime.words.notices() if "letter" in runtime.words.about(name).media]
    last_chance = runtime.post.last_chance(now)
    for _ in range(LOTS):
        with runtime.database.write() as session:
            failed = outbox.make_way(session, by_letter, last_chance, now)
            runtime.teller.heard_all(session, failed, now)
        if not failed:
            break
    return 0


TELLING: Mapping[str, Callable[[Runtime, Session, datetime], list[Event]]] = {
    "registrations": _registrations,
    "reviews": _reviews,
    "complaints": _complaints,
    "numbers": _numbers,
    "rounds": _rounds,
}
CLOCKS = (*TELLING, TEXTS)
