"""The courier: calls the gateway, now or later, and again where the gateway did not answer well."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Condition, Thread

import urllib3

WORKERS = 8
RECEIPT_TIMEOUT_S = 15.0

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """The gateway could not be reached, or did not answer in time. Names the kind of failure only."""


@dataclass(frozen=True)
class Call:
    """A form to be posted to the gateway."""

    url: str = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the gateway answered. Header names are looked up without regard to case."""

    status: int
    body: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Courier:
    """One thread watches the heap of things to do later, a few others do them when they are due.

    `retry_after_s` are the waits between the attempts at one receipt.
    """

    def __init__(self, retry_after_s: tuple[float, ...]) -> None:
        self._retry_after_s = retry_after_s
        self._http = urllib3.PoolManager(maxsize=128, retries=False)
        self._changed = Condition()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._closed = False
        self._now: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        for work in (self._watch, *[self._work] * WORKERS):
            Thread(target=work, name="courier", daemon=True).start()

    def ask(self, call: Call, timeout_s: float) -> Answer:
        """Post once, and wait for the answer. Raises `NoAnswer`."""
        try:
            answer = self._http.request(
                "POST",
                call.url,
                fields=call.form,
                encode_multipart=False,
                headers=call.headers,
                redirect=False,
                timeout=urllib3.Timeout(total=timeout_s),
            )
        except urllib3.exceptions.HTTPError as error:
            # Only its kind: the message of the error holds the address, and the address holds a secret.
            raise NoAnswer(type(error).__name__) from None
        return Answer(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)

    def fetch(self, url: str, timeout_s: float, most_bytes: int) -> tuple[str, bytes]:
        """The content type of an address and its content, no more than `most_bytes`. Raises `NoAnswer`."""
        try:
            answer = self._http.request(
                "GET", url, redirect=False, preload_content=False, timeout=urllib3.Timeout(total=timeout_s)
            )
            content = answer.read(most_bytes + 1)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer(type(error).__name__) from None
        if answer.status != 200 or len(content) > most_bytes:
            raise NoAnswer(f"HTTP {answer.status}, {len(content)} bytes")
        return answer.headers.get("Content-Type", ""), content

    def post(self, call: Call, taken: Callable[[], None] = lambda: None, attempt: int = 0) -> None:
        """Post a receipt; after a 5xx or no answer, again later. `taken` is called once, after a success."""
        try:
            status = self.ask(call, RECEIPT_TIMEOUT_S).status
        except NoAnswer:
            status = 503
        if status < 300:
            taken()
        elif status >= 500 and attempt < len(self._retry_after_s):
            self.later(self._retry_after_s[attempt], lambda: self.post(call, taken, attempt + 1))
        else:
            log.warning("the gateway refused a call with status %d", status)

    def later(self, wait_s: float, act: Callable[[], None]) -> None:
        entry = (time.monotonic() + wait_s, next(self._order), act)
        with self._changed:
            heapq.heappush(self._later, entry)
            if self._later[0] is entry:
                self._changed.notify()

    def close(self) -> None:
        """What is not due yet is forgotten."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for _ in range(WORKERS):
            self._now.put(None)
        self._http.clear()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                wait_s = self._later[0][0] - time.monotonic() if self._later else None
                if wait_s is not None and wait_s <= 0:
                    self._now.put(heapq.heappop(self._later)[2])
                else:
                    self._changed.wait(wait_s)

    def _work(self) -> None:
        while act := self._now.get():
            try:
                act()
            except Exception as error:
                log.error("a call to the gateway broke: %s", type(error).__name__)
