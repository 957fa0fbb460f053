"""Relay: rows that are due are put into the queue, by hundreds."""

from __future__ import annotations

from gateway import outbox
from gateway.runtime import Runtime
from jobs.alarm import enqueue

BATCH = 500
BATCHES_A_ROUND = 10


def relay(runtime: Runtime) -> int:
    """Wake the texts that are due. Returns how many."""
    with runtime.database.write() as session:
        ids = outbox.due(session, "sms", runtime.clock(), BATCH * BATCHES_A_ROUND)
    for start in range(0, len(ids), BATCH):
        enqueue(runtime.redis, "deliver", [str(message_id) for message_id in ids[start : start + BATCH]])
    return len(ids)
