"""The courier: calls the gateway, now or later, and again where the gateway did not answer well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NoReturn
from urllib.parse import quote_plus

import aiohttp
from yarl import URL

from channels.sandbox.loop import Closed, Loop

# Receipts on their way at once. A provider has many hands: a gateway that takes 50 ms must not slow it down.
HANDS = 128
THREADS = 32
RECEIPT_TIMEOUT_S = 15.0
FORM = "application/x-www-form-urlencoded"

Act = Callable[[], Awaitable[None]]

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
    """Keeps its connections. What is due waits in one queue for a hand that is free.

    `ask`, `fetch`, `post` and `later` are for threads; `deliver`, `due` and `at` for what runs on the loop.
    `retry_after_s` are the waits between the attempts at one receipt.
    """

    def __init__(self, loop: Loop, retry_after_s: tuple[float, ...]) -> None:
        self._loop = loop
        self._retry_after_s = retry_after_s
        self._threads = ThreadPoolExecutor(THREADS, "courier")
        loop.run(self._open())

    def ask(self, call: Call, timeout_s: float) -> Answer:
        """Post once, and wait for the answer. Raises `NoAnswer`."""
        try:
            return self._loop.run(self._ask(call, timeout_s))
        except Closed:
            raise NoAnswer("Closed") from None

    def fetch(self, url: str, timeout_s: float, most_bytes: int) -> tuple[str, bytes]:
        """The content type of an address and its content, no more than `most_bytes`. Raises `NoAnswer`."""
        try:
            return self._loop.run(self._fetch(url, timeout_s, most_bytes))
        except Closed:
            raise NoAnswer("Closed") from None

    def post(self, call: Call, taken: Callable[[], None] = lambda: None) -> None:
        """Post a receipt, and wait for the first attempt at it; see `deliver`."""
        try:
            self._loop.run(self.deliver(call, taken))
        except Closed:
            log.warning("a call to the gateway came after the end")

    def later(self, wait_s: float, act: Callable[[], None]) -> None:
        """Have something done in a thread, when it is due."""
        work = partial(self._in_a_thread, act)
        self._loop.soon(lambda: asyncio.get_running_loop().call_later(wait_s, work))

    async def deliver(self, call: Call, taken: Callable[[], None], attempt: int = 0) -> None:
        """Post a receipt; after a 5xx or no answer, again later. `taken` is called once, after a success."""
        try:
            status = (await self._ask(call, RECEIPT_TIMEOUT_S)).status
        except NoAnswer:
            status = 503
        if status < 300:
            taken()
        elif status >= 500 and attempt < len(self._retry_after_s):
            self.due(self._retry_after_s[attempt], lambda: self.deliver(call, taken, attempt + 1))
        else:
            log.warning("the gateway refused a call with status %d", status)

    def due(self, wait_s: float, act: Act) -> None:
        """Have something done by a free hand, when it is due."""
        self.at(wait_s, partial(self._queue.put_nowait, act))

    def at(self, wait_s: float, act: Callable[[], None]) -> None:
        """Have something done that waits for nothing, when it is due."""
        asyncio.get_running_loop().call_later(wait_s, act)

    def close(self) -> None:
        """What is not due yet is forgotten."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with suppress(Closed):
            self._loop.run(self._close())

    async def _open(self) -> None:
        self._queue: asyncio.Queue[Act] = asyncio.Queue()
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
            auto_decompress=False,
        )
        self._hands = [asyncio.create_task(self._work()) for _ in range(HANDS)]

    async def _close(self) -> None:
        for hand in self._hands:
            hand.cancel()
        await asyncio.gather(*self._hands, return_exceptions=True)
        await self._http.close()

    async def _work(self) -> None:
        while True:
            act = await self._queue.get()
            try:
                await act()
            except Exception as error:
                _broke(error)

    def _in_a_thread(self, act: Callable[[], None]) -> None:
        def work() -> None:
            try:
                act()
            except Exception as error:
                _broke(error)

        try:
            self._threads.submit(work)
        except RuntimeError:
            log.debug("something was due after the end")

    async def _ask(self, call: Call, timeout_s: float) -> Answer:
        try:
            async with self._http.post(
                # As it stands: a signature was made over these very letters.
                URL(call.url, encoded=True),
                data=_written(call.form),
                headers={"Content-Type": FORM, **call.headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                body = await answer.read()
                return Answer(answer.status, body.decode("utf-8", "replace"), answer.headers)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _no_answer(error)

    async def _fetch(self, url: str, timeout_s: float, most_bytes: int) -> tuple[str, bytes]:
        try:
            async with self._http.get(
                URL(url, encoded=True), allow_redirects=False, timeout=aiohttp.ClientTimeout(total=timeout_s)
            ) as answer:
                content = b""
                while len(content) <= most_bytes and (more := await answer.content.readany()):
                    content += more
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _no_answer(error)
        if answer.status != 200 or len(content) > most_bytes:
            raise NoAnswer(f"HTTP {answer.status}, {len(content)} bytes")
        return answer.headers.get("Content-Type", ""), content


# Two receipts of a text are nearly the same letters: to quote them anew was a tenth of all the work.
_quoted = lru_cache(4096)(quote_plus)


def _written(form: Mapping[str, str]) -> bytes:
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in form.items()).encode()


def _no_answer(error: Exception) -> NoReturn:
    # Only its kind: the message of the error holds the address, and the address holds a secret.
    raise NoAnswer(type(error).__name__) from None


def _broke(error: Exception) -> None:
    log.error("a call to the gateway broke: %s", type(error).__name__)
