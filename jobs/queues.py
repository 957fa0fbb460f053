"""Queues: what a worker may do when the alarm rings.

Whoever can write to Redis could name any function of Python in a job, and RQ would call it, JSON or not.
Here a job can only name one of `JOBS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from gateway.runtime import Runtime
from jobs import (
    call_backs,
    campaigns,
    deadlines,
    deliver,
    doubts,
    letters,
    months,
    receipts,
    relay,
    sweep,
    tell,
    voice_messages,
    weigh,
)
from jobs.alarm import QUEUES, answered

log = logging.getLogger(__name__)

JOBS: dict[str, Callable[..., object]] = {
    "relay": relay.relay,
    "sweep": sweep.sweep,
    "deliver": deliver.begin,
    "settle_receipts": receipts.settle_receipts,
    "print_letters": letters.print_letters,
    "tell": tell.tell,
    "watch_deadlines": deadlines.watch_deadlines,
    "call_back": call_backs.call_back,
    "fetch_voice_messages": voice_messages.fetch_voice_messages,
    "doubt_numbers": doubts.doubt_numbers,
    "prepare_months": months.prepare_months,
    "weigh": weigh.weigh,
    "pace_campaigns": campaigns.pace_campaigns,
}


class JobFailed(Exception):
    """What Redis is told of a failed job: the kind of error. Its words go to the log, struck of what is personal."""


class HouseJob(Job):
    """A job that can only be one of `jobs`, and that calls nobody back."""

    runtime: Runtime
    jobs: Mapping[str, Callable[..., object]]

    @property
    def func(self) -> Callable[..., object] | None:
        """The function, with the runtime in its hand."""
        name = self.func_name
        if self.instance is not None or name is None or name not in self.jobs:
            raise JobFailed("not a job of this house")
        return partial(_run, name, self.jobs[name], self.runtime)

    def restore(self, raw_data: Any) -> Any:
        """As RQ does, without the callbacks and webhooks that a stranger may have written."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        return restored


class HouseWorker(SimpleWorker):
    """RQ ends its loop at any trouble with Redis as if it had been asked to; `asked_to_stop` tells the two apart."""

    asked_to_stop = False
    runtime: Runtime

    def work(self, *arguments: Any, **named: Any) -> bool:
        """Until it is asked to stop, or in a burst until nothing waits. What it has begun is ended in any case."""
        try:
            return bool(super().work(*arguments, **named))
        finally:
            self.runtime.drain()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM or Ctrl-C: the job in hand is ended first. RQ writes that into Redis, which may be gone."""
        self.asked_to_stop = True
        with suppress(RedisError):
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


class BoundWorker(HouseWorker):
    """Takes jobs only while it `may_go`, and ends when it may not. For a thread: signals are its process's affair."""

    death_penalty_class = TimerDeathPenalty

    def __init__(self, *arguments: Any, may_go: Callable[[], bool], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._may_go = may_go

    def _install_signal_handlers(self) -> None:
        """None."""

    def dequeue_job_and_maintain_ttl(self, timeout: int | None,
                                     max_idle_time: int | None = None) -> tuple[Job, Queue] | None:
        """The next job, or None for none that may be taken. What to wait for is looked at every second."""
        while self._may_go():
            found = super().dequeue_job_and_maintain_ttl(timeout, 1)
            if found:
                return found
        return None


def worker(runtime: Runtime, names: Sequence[str] = QUEUES, jobs: Mapping[str, Callable[..., object]] = JOBS,
           may_go: Callable[[], bool] | None = None) -> HouseWorker:
    """A worker that runs jobs in its own process: a fork for each would load the house again each time."""
    house_job = type("HouseJob", (HouseJob,), {"runtime": runtime, "jobs": jobs})
    queues = [Queue(name, connection=runtime.redis, serializer=JSONSerializer, job_class=house_job) for name in names]
    kind: Callable[..., HouseWorker] = partial(BoundWorker, may_go=may_go) if may_go else HouseWorker
    made = kind(queues, connection=runtime.redis, serializer=JSONSerializer, job_class=house_job,
                log_job_description=False)
    made.runtime = runtime
    return made


def _run(name: str, job: Callable[..., object], runtime: Runtime, *arguments: Any) -> object:
    answered(runtime.redis, name)
    try:
        return job(runtime, *arguments)
    except Exception as error:
        log.exception("job %s failed", name)
        raise JobFailed(type(error).__name__) from None
