"""Callers: people on the telephone, each typing at a screen only once it is there.

`python -m tests.bench.callers URL AT_ONCE SECONDS RATE` reads `[[msisdn, [typed, ...]], ...]` on its standard input
and prints turns, seconds, wrong answers and the times of a turn in ms. With RATE 0 `AT_ONCE` people call again and
again until the time is over, with no time everybody once. Else so many turns a second fall due, whether or not those
before were answered, and each is timed from when it was due.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlencode, urlsplit

INDEX = re.compile("[0-9]{1,2},[0-9]{7}")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
# What a person takes to read and type. As the turns of a call come so far apart, a rate takes a while to be reached.
TYPING_S = 1.0

Person = tuple[str, list[str]]


class Lines:
    """Kept connections. Written by hand: any library's client takes more of the processor than the server measured."""

    def __init__(self, url: str, at_once: int) -> None:
        address = urlsplit(url)
        self._host, self._port, self._at_once = address.hostname, address.port, at_once
        self._head = (f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
                      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ")
        self._free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Lines]:
        lines = [await asyncio.open_connection(self._host, self._port) for _ in range(self._at_once)]
        for line in lines:
            self._free.put_nowait(line)
        yield self
        for _, writer in lines:
            writer.close()

    async def post(self, form: dict[str, str]) -> tuple[int, str]:
        """Status and body, once a line is free."""
        body = urlencode(form)
        reader, writer = await self._free.get()
        writer.write(f"{self._head}{len(body)}\r\n\r\n{body}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        answer = await reader.readexactly(int(length[1]) if length else 0)
        self._free.put_nowait((reader, writer))
        return int(head[9:12]), answer.decode()


@dataclass
class Times:
    """How long turns took, from when each was due."""

    took: list[float] = field(default_factory=list)
    wrong: int = 0

    def told(self, seconds: float) -> dict[str, float]:
        took = sorted(self.took)
        return {"turns": len(took), "seconds": seconds, "wrong": self.wrong,
                "p50_ms": 1000 * took[len(took) // 2], "p99_ms": 1000 * took[len(took) * 99 // 100]}


async def turn(lines: Lines, session_id: str, person: Person, typed: int) -> bool:
    """One turn; whether it was answered as it should be."""
    msisdn, keys = person
    status, body = await lines.post({
        "sessionId": session_id, "phoneNumber": msisdn, "networkCode": "60401", "serviceCode": "*580#",
        "text": "*".join(keys[:typed])})
    # After the PIN comes the index, or the figure would be of errors.
    return status == 200 and (typed != 2 or INDEX.search(body) is not None)


async def call_at_once(lines: Lines, at_once: int, seconds: float, people: Sequence[Person]) -> dict[str, float]:
    """So many people at a time, one after the other."""
    waiting, times, began = deque(people), Times(), time.perf_counter()

    async def dial() -> None:
        while waiting and (not seconds or time.perf_counter() - began < seconds):
            person, session_id = waiting.popleft(), new_session()
            for typed in range(len(person[1]) + 1):
                asked = time.perf_counter()
                times.wrong += not await turn(lines, session_id, person, typed)
                times.took.append(time.perf_counter() - asked)
            if seconds:
                waiting.append(person)

    await asyncio.gather(*(dial() for _ in range(at_once)))
    return times.told(time.perf_counter() - began)


async def call_on_schedule(lines: Lines, rate: float, seconds: float, people: Sequence[Person]) -> dict[str, float]:
    """Calls that begin at random moments, as those of people who know nothing of each other do."""
    turns, rng, times = len(people[0][1]) + 1, Random(580), Times()
    began = time.perf_counter()
    measured_from = began + turns * TYPING_S
    ends = measured_from + seconds
    calls, due, waiting = set[asyncio.Task[None]](), began, deque(people)

    def note(due: float, right: bool = True) -> None:
        if measured_from <= due < ends:
            times.took.append(time.perf_counter() - due)
            times.wrong += not right

    async def dial(person: Person, begins: float) -> None:
        session_id, typed = new_session(), 0
        try:
            for typed in range(turns):
                await until(begins + typed * TYPING_S)
                note(begins + typed * TYPING_S, await turn(lines, session_id, person, typed))
        except asyncio.CancelledError:
            # What nobody has answered when all is over took at least so long, and counts.
            for unanswered in range(typed, turns):
                note(begins + unanswered * TYPING_S)

    while due < ends:
        await until(due)
        calls.add(asyncio.create_task(dial(waiting[0], due)))
        waiting.rotate(-1)
        due += rng.expovariate(rate / turns)
    await until(ends)
    for one in calls:
        one.cancel()
    await asyncio.gather(*calls)
    return times.told(seconds)


async def until(due: float) -> None:
    await asyncio.sleep(max(0, due - time.perf_counter()))


def new_session() -> str:
    return f"ATUid_{secrets.token_hex(16)}"


async def main() -> None:
    url, at_once, seconds, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    people = json.load(sys.stdin)
    async with Lines(url, at_once).open() as lines:
        calling = (call_on_schedule(lines, rate, seconds, people) if rate
                   else call_at_once(lines, at_once, seconds, people))
        sys.stdout.write(json.dumps(await calling))


if __name__ == "__main__":
    asyncio.run(main())
