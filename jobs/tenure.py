"""Tenure: a bind held by this process, for as long as the database goes on saying so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from gateway import bind
from gateway.db import new_id
from gateway.runtime import Runtime

log = logging.getLogger(__name__)

RENEWED_EVERY_S = 1.0
# Another process may bind when nothing was heard of the holder for so long.
LEASE = timedelta(seconds=15)
# The holder has let go by then, by whichever clock: it needs some seconds to unbind.
MARGIN_S = 5.0


class Tenure:
    """One stay in office. `bound` tells whether the connection stands; `lost` is called once, should it be taken away.

    Two threads: one asks the database, which may be long in answering, the other counts how long it has been silent.
    """

    def __init__(self, runtime: Runtime, provider: str, bound: Callable[[], bool], lost: Callable[[], None]) -> None:
        self._runtime, self._provider, self._bound, self._lost = runtime, provider, bound, lost
        self._holder = new_id()
        self._ours_until = 0.0
        self._over = threading.Event()
        self._asking = threading.Lock()

    @property
    def held(self) -> bool:
        return monotonic() < self._ours_until and not self._over.is_set()

    def begin(self) -> bool:
        """Take the bind and keep it. False while it is another's, or nobody can tell."""
        if not self._ask():
            return False
        for work in (self._renew, self._watch):
            threading.Thread(target=work, name=f"{self._provider} tenure", daemon=True).start()
        return True

    def tell(self) -> None:
        """Say now whether the connection stands, and not a second later."""
        self._ask()

    def end(self) -> None:
        """Let go: whoever waits may bind at once."""
        self._over.set()
        with self._asking:
            try:
                with self._runtime.database.write() as session:
                    bind.let_go(session, self._provider, self._holder)
            except SQLAlchemyError as error:
                log.warning("the bind is given back when its lease ends (%s)", type(error).__name__)

    def _ask(self) -> bool:
        asked = monotonic()
        with self._asking:
            if self._over.is_set():
                return False
            try:
                with self._runtime.database.write() as session:
                    ours = bind.hold(session, self._provider, self._holder, self._runtime.clock(), LEASE,
                                     bound=self._bound())
            except SQLAlchemyError as error:
                log.warning("the database does not say whose the bind is (%s)", type(error).__name__)
                return False
            self._ours_until = asked + LEASE.total_seconds() - MARGIN_S if ours else 0.0
        return ours

    def _renew(self) -> None:
        while not self._over.wait(RENEWED_EVERY_S):
            self._ask()

    def _watch(self) -> None:
        while not self._over.wait(RENEWED_EVERY_S / 2):
            if not self.held:
                log.error("the bind of %s is not ours any more: unbinding", self._provider)
                self._over.set()
                self._lost()
