"""Alarm: rings for a job. It names a job and the rows it concerns, and nothing else."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from gateway.bind import BOUND

# In the order of service: what wakes others first, then texts by lane, then paper and what there may be millions of.
QUEUES = ("clock", "replies", "calls", "receipts", "decisions", "notices", "announcements", "paper")
# A text's queue is that of its lane.
LANE_QUEUES = ("replies", "decisions", "notices", "announcements")
# A worker that does nothing else keeps somebody who waits from waiting for a campaign.
URGENT = ("clock", "replies")
QUEUE_OF = {"relay": "clock", "sweep": "receipts", "deliver": "notices", "settle_receipts": "receipts",
            "print_letters": "paper", "tell": "paper", "watch_deadlines": "paper", "call_back": "calls",
            "fetch_voice_messages": "paper", "doubt_numbers": "paper", "prepare_months": "paper",
            "weigh": "receipts", "pace_campaigns": "receipts"}
TIMEOUT_S = 300
KEPT_S = 3600
# A ring that no worker has answered for so long may be lost: it is rung for again.
ANSWERED_WITHIN_S = 30


def enqueue(redis: Redis, name: str, *arguments: Any, once: bool = False, queue: str = "") -> None:
    """Ring for a job, in its queue or in another. With `once`, one that still waits is not rung for again.

    RQ's own unique jobs would not do: one that failed, or whose worker was killed, stands in the way for an hour.
    """
    if once and not redis.set(_waiting(name), b"1", nx=True, ex=ANSWERED_WITHIN_S):
        return
    ringing = Queue(queue or QUEUE_OF[name], connection=redis, serializer=JSONSerializer)
    ringing.enqueue(name, *arguments, job_timeout=TIMEOUT_S, result_ttl=0, failure_ttl=KEPT_S, ttl=KEPT_S)


def answered(redis: Redis, name: str) -> None:
    """A worker has begun the job: the next ring is a new one."""
    redis.delete(_waiting(name))


def _waiting(name: str) -> str:
    return f"rung:{name}"


def lane_queue(lane: int, provider: str = "") -> str:
    """The queue of a lane's texts. Those by a provider that one process is bound to have queues of their own."""
    return f"{provider}-{LANE_QUEUES[lane]}" if provider in BOUND else LANE_QUEUES[lane]


def backlog(redis: Redis, queue: str) -> int:
    """How many jobs wait in a queue."""
    return Queue(queue, connection=redis, serializer=JSONSerializer).count
