"""Receipts: what providers have reported is settled, by hundreds."""

from __future__ import annotations

from gateway import outbox
from gateway.runtime import Runtime
from jobs.alarm import enqueue

AT_ONCE = 500


def settle_receipts(runtime: Runtime) -> int:
    """Settle one lot of receipts, and ring for the next. Returns how many messages came to an end by them."""
    now = runtime.clock()
    with runtime.database.write() as session:
        settlements = outbox.settle_receipts(session, now, AT_ONCE)
        for settlement in settlements:
            runtime.teller.heard(session, settlement, now)
    if settlements:
        enqueue(runtime.redis, "settle_receipts", once=True)
    return len(settlements)
