"""Doomed: worker after worker begins to send and is killed (`kill -9`) at one step of it.

`python -m tests.faults.doomed` reads a step and message ids a line; each line is done by a process of its own, forked
from this one so that two hundred of them take no longer than one start.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from channels.base import Accepted, Outbound
from gateway import outbox, routes
from gateway.outbox import DECISION
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.deliver import deliver

# In the order in which they happen to a text.
STEPS = ("claimed, not committed", "committed, not sent", "in the air", "answered, not settled",
         "settled, not committed", "all done")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed:
    """A provider's channel that dies before, in or after its send."""

    def __init__(self, channel: object, step: str) -> None:
        self._channel, self._step = channel, step
        self.together = 1

    async def send(self, message: Outbound) -> Accepted:
        if self._step == "committed, not sent":
            die()
        sending = asyncio.create_task(self._channel.send(message))
        if self._step == "in the air":
            await asyncio.sleep(0.01)
            die()
        accepted = await sending
        if self._step == "answered, not settled":
            die()
        return accepted

    async def close(self) -> None:
        await self._channel.close()


def at_commit(engine: sa.Engine, number: int, act: Callable[[], None]) -> None:
    """Before this commit of the process."""
    commits = iter(range(1, 1_000))
    sa.event.listen(engine, "commit", lambda _: act() if next(commits) == number else None)


def work(opened: Runtime, step: str, provider: str, ids: list[str]) -> None:
    opened.clock()
    runtime = replace(opened, channels={name: Doomed(channel, step) for name, channel in opened.channels.items()})
    for number, doomed in ((1, "claimed, not committed"), (2, "settled, not committed")):
        if step == doomed:
            at_commit(runtime.database.engine, number, die)
    deliver(runtime, provider, DECISION, ids)
    die()


class Undone(Exception):
    """A transaction is to come to nothing."""


def rehearse(runtime: Runtime, ids: list[str]) -> None:
    """What a send asks of the database is asked once and undone: what is compiled here, no child has to compile."""
    now = runtime.clock()
    with suppress(Undone), runtime.database.write() as session:
        routes.stops(session)
        claims = outbox.claim(session, runtime.vault, [UUID(one) for one in ids], "twilio", now, timedelta(minutes=1))
        outbox.settle(session, [(held, Accepted("a name")) for held in claims], now)
        routes.lift(session, "twilio", now, now)
        raise Undone
    runtime.database.close()


def main() -> None:
    # All that is loaded is loaded here; nothing is connected, and no thread runs, when a child is forked.
    opened = Runtime.open(Settings.load())
    lines = [line.rstrip("\n").split("\t") for line in sys.stdin]
    rehearse(opened, lines[0][2:])
    for step, provider, *ids in lines:
        child = os.fork()
        if not child:
            work(opened, step, provider, ids)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"{step}: it was not killed"
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
