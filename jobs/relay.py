"""Relay: rows that are due are put into the queue, by hundreds."""

from __future__ import annotations

from gateway import outbox
from gateway.notices import awake
from gateway.runtime import Runtime
from jobs.alarm import backlog, enqueue

BATCH = 500
BATCHES_A_ROUND = 10
BACKLOG = 20


def relay(runtime: Runtime) -> int:
    """Wake the texts that are due. Returns how many. What is still unsent in the evening waits for the morning.

    While the queue is long the rows are left asleep: to ring for them again would only make it longer.
    """
    if backlog(runtime.redis, "deliver") >= BACKLOG:
        return 0
    now = runtime.clock()
    morning = awake(now, runtime.settings.quiet_hours)
    with runtime.database.write() as session:
        if morning > now:
            outbox.put_off(session, runtime.teller.by_day, morning)
        ids = outbox.due(session, "sms", now, BATCH * BATCHES_A_ROUND)
    for start in range(0, len(ids), BATCH):
        enqueue(runtime.redis, "deliver", [str(message_id) for message_id in ids[start : start + BATCH]])
    return len(ids)
