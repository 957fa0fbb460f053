"""Receipts: what providers have reported is settled, by hundreds."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import OperationalError

from gateway import outbox
from gateway.runtime import Runtime
from jobs.alarm import LANE_QUEUES, backlog, enqueue

log = logging.getLogger(__name__)

AT_ONCE = 500
# What cannot be settled by a fault of ours is tried again after this time.
AGAIN_AFTER = timedelta(hours=1)


def settle_receipts(runtime: Runtime, at_once: int = AT_ONCE) -> int:
    """Settle one lot of receipts, and ring for the next. Returns how many messages came to an end by them.

    One lot a job, and one every half second while texts wait: they are not held up by a day's receipts, nor these by
    a day's texts.
    """
    try:
        ended = _settle(runtime, at_once)
    except OperationalError as error:
        # Two who waited for each other, or a database that is just starting: the next ring finds them all again.
        log.warning("a lot of receipts is settled a moment later (%s)", type(error.orig).__name__)
        return 0
    except Exception:
        log.exception("a lot of receipts could not be settled: each is settled alone")
        ended = _settle_each(runtime, at_once)
    # Texts that wait go first; the clock rings for the next lot twice a second in any case.
    if not any(backlog(runtime.redis, queue) for queue in LANE_QUEUES):
        with runtime.database.read() as session:
            more = outbox.receipts_due(session, runtime.clock(), 1)
        if more:
            enqueue(runtime.redis, "settle_receipts", once=True)
    return ended


def _settle(runtime: Runtime, at_once: int, only: Collection[UUID] | None = None) -> int:
    now = runtime.clock()
    with runtime.database.write() as session:
        settlements = outbox.settle_receipts(session, now, at_once, only)
        runtime.teller.heard_all(session, settlements, now)
    return len(settlements)


def _settle_each(runtime: Runtime, at_once: int) -> int:
    """One that fails must not keep the others from being settled, now or ever."""
    with runtime.database.read() as session:
        waiting = outbox.receipts_due(session, runtime.clock(), at_once)
    ended = 0
    for one in waiting:
        try:
            ended += _settle(runtime, at_once, [one])
        except Exception:
            log.exception("receipt %s could not be settled", one)
            with runtime.database.write() as session:
                outbox.put_off(session, one, runtime.clock() + AGAIN_AFTER)
    return ended
