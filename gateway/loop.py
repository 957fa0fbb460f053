"""Loop: the event loop of a process, in a thread of its own, on which texts are in flight."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

import uvloop

Value = TypeVar("Value")

log = logging.getLogger(__name__)

# Works that nobody waits for: one more is begun once one of so many is done.
MOST_BEGUN = 16


class Loop:
    """It goes on until the process ends, so that a connection which a provider closes between two jobs is known to be
    closed."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._begun: set[Future[Any]] = set()
        threading.Thread(target=self._loop.run_forever, name="loop", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Do this on the loop and wait for it. What interrupts the waiting cancels the work."""
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do this on the loop without waiting for it."""
        while len(self._begun) >= MOST_BEGUN:
            wait(self._begun, return_when=FIRST_COMPLETED)
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._begun.add(doing)
        doing.add_done_callback(self._ended)

    def drain(self) -> None:
        """Wait for all that was begun."""
        wait(self._begun)

    def _ended(self, done: Future[Any]) -> None:
        if not done.cancelled() and (error := done.exception()):
            log.error("a work of the loop failed", exc_info=error)
        self._begun.discard(done)
