"""Loop: the event loop of a process, in a thread of its own, on which texts are in flight."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

Value = TypeVar("Value")


class Loop:
    """It goes on until the process ends, so that a connection which a provider closes between two jobs is known to be
    closed."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="loop", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Do this on the loop and wait for it. What interrupts the waiting cancels the work."""
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise
