"""Callers: people who dial at the same time, each waiting for a screen before answering it.

`python -m tests.bench.callers URL AT_ONCE SECONDS` reads `[[msisdn, [typed, ...]], ...]` on its standard input
and prints turns, seconds, wrong answers and the times of a turn in ms.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
import time
from collections import deque

from aiohttp import ClientSession, TCPConnector

INDEX = re.compile("[0-9]{1,2},[0-9]{7}")


async def call(url: str, at_once: int, seconds: float, people: list[tuple[str, list[str]]]) -> dict[str, float]:
    """Everybody calls again and again until the time is over; with no time, everybody once."""
    waiting, took = deque(people), list[float]()
    wrong = 0
    began = time.perf_counter()

    async def dial(http: ClientSession) -> None:
        nonlocal wrong
        while waiting and (not seconds or time.perf_counter() - began < seconds):
            msisdn, keys = waiting.popleft()
            session_id = f"ATUid_{secrets.token_hex(16)}"
            for typed in range(len(keys) + 1):
                form = {"sessionId": session_id, "phoneNumber": msisdn, "networkCode": "60401",
                        "serviceCode": "*580#", "text": "*".join(keys[:typed])}
                asked = time.perf_counter()
                async with http.post(url, data=form) as answer:
                    body = await answer.text()
                took.append(time.perf_counter() - asked)
                # After the PIN comes the index, or the figure would be of errors.
                wrong += answer.status != 200 or (typed == 2 and not INDEX.search(body))
            if seconds:
                waiting.append((msisdn, keys))

    async with ClientSession(connector=TCPConnector(limit=at_once)) as http:
        await asyncio.gather(*(dial(http) for _ in range(at_once)))
    took_s = time.perf_counter() - began
    took.sort()
    return {"turns": len(took), "seconds": took_s, "wrong": wrong,
            "p50_ms": 1000 * took[len(took) // 2], "p99_ms": 1000 * took[len(took) * 99 // 100]}


if __name__ == "__main__":
    measured = asyncio.run(call(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), json.load(sys.stdin)))
    sys.stdout.write(json.dumps(measured))
