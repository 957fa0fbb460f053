"""Providers that do as they are told, and write down what they were asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from threading import Lock

import sqlalchemy as sa
from rq import Queue
from rq.serializers import JSONSerializer

from channels.base import Accepted, Outbound, SendError, outcome
from gateway.db import new_id
from gateway.outbox import NOTICE, Due, Message
from gateway.runtime import Runtime
from jobs.alarm import LANE_QUEUES
from jobs.deliver import deliver
from jobs.relay import relay

Answer = Accepted | SendError | Exception | Callable[[Outbound], Accepted] | None


@dataclass
class FakeProvider:
    """`answer` to a send (None: it is accepted), `listed` to a question (None: it has no such message)."""

    name: str
    answer: Answer = None
    listed: Answer = None
    sent: list[Outbound] = field(default_factory=list)
    asked: list[Outbound] = field(default_factory=list)
    _ids: count = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    together = 1

    async def send(self, message: Outbound) -> Accepted:
        with self._lock:
            self.sent.append(message)
            provider_id = f"{self.name}-{next(self._ids)}"
        return self._say(self.answer, message) or Accepted(provider_id)

    async def send_all(self, messages: Sequence[Outbound]) -> list[Accepted | SendError]:
        return [await outcome(self.send, message) for message in messages]

    async def close(self) -> None:
        """Nothing is open."""

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        with self._lock:
            self.asked.append(message)
        return self._say(self.listed, message)

    @staticmethod
    def _say(answer: Answer, message: Outbound) -> Accepted | None:
        if isinstance(answer, Exception):
            raise answer
        return answer(message) if callable(answer) else answer


def with_providers(runtime: Runtime, **answers: Answer) -> tuple[Runtime, FakeProvider, FakeProvider]:
    """The house with two providers of the tests'. `answers` by name."""
    twilio, africastalking = (FakeProvider(name, answers.get(name)) for name in ("twilio", "africastalking"))
    return replace(runtime, channels={"twilio": twilio, "africastalking": africastalking}), twilio, africastalking


def a_text(*avoid: str) -> Due:
    """A text that waits for a route, with those that have refused it."""
    return Due(new_id(), NOTICE, "ar-MA", "", 1, avoid)


def rung(runtime: Runtime) -> list[list]:
    """What the waiting jobs of all lanes are told: a route, a lane and rows."""
    queues = [Queue(name, connection=runtime.redis, serializer=JSONSerializer) for name in LANE_QUEUES]
    return [list(job.args) for queue in queues for job in queue.get_jobs()]


def dispatch(runtime: Runtime) -> int:
    """Wake what is due, and do the jobs that were rung for. Returns how many texts were claimed."""
    relay(runtime)
    jobs = rung(runtime)
    for name in LANE_QUEUES:
        Queue(name, connection=runtime.redis, serializer=JSONSerializer).empty()
    return sum(deliver(runtime, *told) for told in jobs)


def ids(runtime: Runtime, medium: str = "sms") -> list[str]:
    with runtime.database.read() as session:
        return [str(one) for one in session.scalars(
            sa.select(Message.id).where(Message.medium == medium).order_by(Message.id))]


def states(runtime: Runtime, medium: str = "sms") -> list[str]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Message.state).where(Message.medium == medium).order_by(Message.id)))
