"""Alarm: rings for a job. It names a job and the rows it concerns, and nothing else."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

# In the order of service: what wakes others first, then texts, then paper and what there may be millions of.
QUEUES = ("clock", "texts", "paper")
QUEUE_OF = {"relay": "clock", "sweep": "clock", "deliver": "texts", "print_letters": "paper", "tell": "paper",
            "watch_deadlines": "clock", "doubt_numbers": "paper"}
TIMEOUT_S = 300
KEPT_S = 3600
# A ring that no worker has answered for so long may be lost: it is rung for again.
ANSWERED_WITHIN_S = 30


def enqueue(redis: Redis, name: str, *arguments: Any, once: bool = False) -> None:
    """Ring for a job. With `once`, one that still waits is not rung for again.

    RQ's own unique jobs would not do: one that failed, or whose worker was killed, stands in the way for an hour.
    """
    if once and not redis.set(_waiting(name), b"1", nx=True, ex=ANSWERED_WITHIN_S):
        return
    queue = Queue(QUEUE_OF[name], connection=redis, serializer=JSONSerializer)
    queue.enqueue(name, *arguments, job_timeout=TIMEOUT_S, result_ttl=0, failure_ttl=KEPT_S, ttl=KEPT_S)


def answered(redis: Redis, name: str) -> None:
    """A worker has begun the job: the next ring is a new one."""
    redis.delete(_waiting(name))


def _waiting(name: str) -> str:
    return f"rung:{name}"


def backlog(redis: Redis, name: str) -> int:
    """How many jobs wait in the queue of this one."""
    return Queue(QUEUE_OF[name], connection=redis, serializer=JSONSerializer).count
