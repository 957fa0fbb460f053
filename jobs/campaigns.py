"""Campaigns: every few seconds what is due of them is let go, and what was called off is taken back, lot by lot."""

from __future__ import annotations

from gateway import campaign
from gateway.runtime import Runtime
from jobs.alarm import enqueue

# Lots of one ring, each in a transaction of its own.
LOTS = 10


def pace_campaigns(runtime: Runtime) -> int:
    """Returns how many messages were let go."""
    let_go = runtime.pacer.let_go(runtime.database, runtime.clock())
    if all(_take_back(runtime) for _ in range(LOTS)):
        enqueue(runtime.redis, "pace_campaigns", once=True)
    return let_go


def _take_back(runtime: Runtime) -> int:
    with runtime.database.write() as session:
        return sum(campaign.take_back(session, row, runtime.clock()) for row in campaign.called_off(session))
