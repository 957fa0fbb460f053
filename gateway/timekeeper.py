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
    """Callable as a clock. Without a database that tells time, and until it answers, the time is this machine's.

    Only the first call waits for the database; later looks are a thread's, for whoever asks the time may be what all
    sends in flight wait for.
    """

    def __init__(self, engine: sa.Engine, wall: Callable[[], datetime] = lambda: datetime.now(UTC),
                 steady: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._wall, self._steady = engine, wall, steady
        self._tells = engine.dialect.name == "postgresql"
        self._looking = threading.Lock()
        # A moment and the steady clock then: one value, so that nobody reads the half of it.
        self._known: tuple[datetime, float] | None = None
        self._look_at = 0.0

    def __call__(self) -> datetime:
        if not self._tells:
            return self._wall()
        if self._known is None:
            with self._looking:
                self._known = self._known or self._look() or (self._wall(), self._steady())
        elif self._steady() >= self._look_at and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look_again, name="timekeeper", daemon=True).start()
        moment, since = self._known
        return moment + timedelta(seconds=self._steady() - since)

    def _look_again(self) -> None:
        try:
            self._known = self._look() or self._known
        finally:
            self._looking.release()

    def _look(self) -> tuple[datetime, float] | None:
        """The database's time; None where it does not tell."""
        asked = self._steady()
        self._look_at = asked + LOOK_EVERY_S
        try:
            with self._engine.connect() as connection:
                told: datetime = connection.scalar(sa.text("SELECT clock_timestamp()"))
        except sa.exc.SQLAlchemyError as error:
            log.warning("the database does not tell the time (%s): it goes on by this machine's", type(error).__name__)
            return None
        answered = self._steady()
        moment = told.astimezone(UTC) + timedelta(seconds=(answered - asked) / 2)
        odd = self._wall() - moment
        if abs(odd) > ODD:
            log.error("this machine's clock is %d s off the database's, which counts; set it right",
                      odd.total_seconds())
        return moment, answered
