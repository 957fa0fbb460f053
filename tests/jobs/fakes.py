"""Providers that do as they are told, and write down what they were asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from threading import Lock

import sqlalchemy as sa

from channels.base import Accepted, Outbound, SendError
from gateway.outbox import Message
from gateway.runtime import Runtime

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

    def send(self, message: Outbound) -> Accepted:
        with self._lock:
            self.sent.append(message)
            provider_id = f"{self.name}-{next(self._ids)}"
        return self._say(self.answer, message) or Accepted(provider_id)

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


def ids(runtime: Runtime, medium: str = "sms") -> list[str]:
    with runtime.database.read() as session:
        return [str(one) for one in session.scalars(
            sa.select(Message.id).where(Message.medium == medium).order_by(Message.id))]


def states(runtime: Runtime, medium: str = "sms") -> list[str]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Message.state).where(Message.medium == medium).order_by(Message.id)))
