"""Timekeeper: the time of the database, so that all machines of a house have the same.

A lease that one machine gives is ended by another. Were each to go by its own clock, one that is an hour ahead would
end the leases of all sends in flight. Between two looks at the database the time runs by the monotonic clock, which no
change of the wall clock moves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

log = logging.getLogger(__name__)

# A crystal drifts by some milliseconds in this time.
LOOK_EVERY_S = 60.0
# More than that between our machine's clock and the database's is for an operator to hear of.
ODD = timedelta(seconds=5)


class Timekeeper:
    """Callable as a clock. Without a database that tells time, and until it answers, the time is this machine's."""

    def __init__(self, engine: sa.Engine, wall: Callable[[], datetime] = lambda: datetime.now(UTC),
                 steady: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._wall, self._steady = engine, wall, steady
        self._tells = engine.dialect.name == "postgresql"
        self._lock = threading.Lock()
        self._base = wall()
        self._since = steady()
        self._look_at = self._since

    def __call__(self) -> datetime:
        if not self._tells:
            return self._wall()
        if self._steady() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._base + timedelta(seconds=self._steady() - self._since)

    def _look(self) -> None:
        self._look_at = self._steady() + LOOK_EVERY_S
        asked = self._steady()
        try:
            with self._engine.connect() as connection:
                told: datetime = connection.scalar(sa.text("SELECT clock_timestamp()"))
        except sa.exc.SQLAlchemyError as error:
            log.warning("the database does not tell the time (%s): it goes on by this machine's", type(error).__name__)
            return
        answered = self._steady()
        self._base, self._since = told.astimezone(UTC) + timedelta(seconds=(answered - asked) / 2), answered
        odd = self._wall() - self._base
        if abs(odd) > ODD:
            log.error("this machine's clock is %d s off the database's, which counts; set it right",
                      odd.total_seconds())
