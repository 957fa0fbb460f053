"""Alarm: rings for a job. It names a job and the rows it concerns, and nothing else."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

log = logging.getLogger(__name__)

# In the order of service: what wakes others first, then texts, then paper.
QUEUES = ("clock", "texts", "paper")
QUEUE_OF = {"relay": "clock", "sweep": "clock", "deliver": "texts", "print_letters": "paper"}
TIMEOUT_S = 300
KEPT_S = 3600


def enqueue(redis: Redis, name: str, *arguments: Any, once: bool = False) -> None:
    """Ring for a job. With `once`, one that still waits is not rung for again."""
    queue = Queue(QUEUE_OF[name], connection=redis, serializer=JSONSerializer)
    options: dict[str, Any] = {"job_timeout": TIMEOUT_S, "result_ttl": 0, "failure_ttl": KEPT_S, "ttl": KEPT_S}
    try:
        queue.enqueue(name, *arguments, **options, **({"job_id": name, "unique": True} if once else {}))
    except DuplicateJobError:
        log.debug("%s waits already", name)
