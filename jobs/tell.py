"""Tell: what a whole-registry run has left to be told becomes messages, and so does what failed an hour ago."""

from __future__ import annotations

from gateway import untold
from gateway.registry import recalculation
from gateway.runtime import Runtime
from jobs.alarm import enqueue

# A transaction of about a second; texts that wait meanwhile go first.
AT_ONCE = 300


def tell(runtime: Runtime) -> int:
    """Post the notices of one lot of events, and ring for the next. Returns how many events were told."""
    now = runtime.clock()
    with runtime.database.write() as session:
        lot = recalculation.take_untold(session, now, AT_ONCE)
        runtime.teller.tell(session, lot.events, now)
        again = runtime.teller.tell_again(session, now)
    if lot.taken == AT_ONCE or again == untold.AT_ONCE:
        enqueue(runtime.redis, "tell", once=True)
    return len(lot.events)
