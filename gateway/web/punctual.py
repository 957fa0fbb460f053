"""Punctual: an answer in time, or the word that it comes later. A caller's network hangs up after ten seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

# The gateway of an operator gives up after ten seconds (Africa's Talking, USSD); the way there and back takes some.
DEADLINE_S = 8.0
THREADS = 8

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Late(Exception):
    """It goes on, and `then` is called when it has come to an end."""


class Punctual:
    """Works in threads of its own, so that the one that answers the network is never held up."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="turn")

    def answer(self, work: Callable[[], Answer], then: Callable[[], object]) -> Answer:
        """What `work` answers, or raises. Raises `Late` after the deadline."""
        try:
            started = self._pool.submit(work)
        except RuntimeError:
            # The process is being stopped: whoever is on the line is answered all the same.
            return work()
        try:
            return started.result(self._deadline_s)
        except TimeoutError:
            if started.done():
                return started.result()  # It came at the last moment, or the time-out was its own.
        started.add_done_callback(lambda done: self._after(done, then))
        raise Late

    @staticmethod
    def _after(done: Future[Any], then: Callable[[], object]) -> None:
        if done.exception():
            log.error("a turn failed after its caller was answered", exc_info=done.exception())
        try:
            then()
        except Exception:
            log.exception("nobody could be told that a turn was late")
