"""The loop: one thread in which everything happens that waits for the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The loop has ended: nothing will come of it any more."""


class Loop:
    """An asyncio loop in a thread of its own, from its making until `close`."""

    def __init__(self) -> None:
        self._ready = Event()
        self._awaited: set[Future[Any]] = set()
        self._thread = Thread(target=asyncio.run, args=(self._live(),), name="loop", daemon=True)
        self._thread.start()
        self._ready.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have it done on the loop, and wait for it in this thread. Raises `Closed`."""
        try:
            coming = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise Closed from None
        self._awaited.add(coming)
        if self._loop.is_closed():
            coming.cancel()
        try:
            return coming.result()
        except CancelledError:
            raise Closed from None
        finally:
            self._awaited.discard(coming)

    def soon(self, act: Callable[[], object]) -> None:
        """Have it done on the loop, from any thread. After the end, it is forgotten."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        """What is under way is cancelled. To close once more does nothing."""
        self.soon(self._ending.set)
        self._thread.join()
        # What came too late for the loop even to cancel it: its thread would wait for ever.
        for coming in self._awaited.copy():
            coming.cancel()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._ready.set()
        await self._ending.wait()
