"""Relay: texts that are due are given a route and put into the queue of their lane, by hundreds."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from gateway import bind, outbox
from gateway.hours import lanes_awake
from gateway.outbox import REPLY
from gateway.routes import Routes
from gateway.runtime import Runtime
from jobs.alarm import backlog, enqueue, lane_queue

# A job ends when but a few of its sends are in the air: short ones would spend a good part of their time waiting for
# that.
BATCH = 2000
BATCHES_A_ROUND = 4
# Jobs of a lane that may wait. What waits longer than its alarm is rung for again, to no use.
BACKLOG = 8
# Of providers that take so many a second, no more are woken than go in this time.
AHEAD_S = 10.0


def relay(runtime: Runtime) -> int:
    """Wake the texts that are due. Returns how many. A lane that sleeps is not looked at before its morning.

    While a lane's queue is long its rows are left asleep: to ring for them again would only make it longer. So are they
    while every provider is stopped or has asked for patience. One that has is passed over while another has not; a text
    that no provider can carry now is looked at again when its alarm is over.
    """
    now = runtime.clock()
    carrying = runtime.settings.carrying
    held = frozenset(name for name in carrying if runtime.pace.held(name))
    patient = held.issuperset(carrying)
    most = runtime.pace.most(carrying, AHEAD_S, BATCH * BATCHES_A_ROUND)
    lanes = [lane for lane in lanes_awake(now, runtime.settings.asleep)
             if backlog(runtime.redis, lane_queue(lane)) < BACKLOG and (lane == REPLY or not patient)]
    full = {lane: _full(runtime, lane) | (frozenset() if patient else held) for lane in lanes}
    routed: dict[tuple[int, str], list[UUID]] = defaultdict(list)
    with runtime.database.write() as session:
        routes = Routes.read(session, runtime.settings, now)
        for one in outbox.due(session, now, routes.takes(most), lanes):
            if route := routes.choose(one, full[one.lane]):
                routed[one.lane, route].append(one.id)
    for (lane, route), ids in routed.items():
        for start in range(0, len(ids), BATCH):
            batch = [str(one) for one in ids[start : start + BATCH]]
            enqueue(runtime.redis, "deliver", route, lane, batch, queue=lane_queue(lane, route))
    return sum(map(len, routed.values()))


def _full(runtime: Runtime, lane: int) -> frozenset[str]:
    """The providers with queues of their own that have enough to do in this lane."""
    return frozenset(name for name, _ in runtime.settings.sms_providers
                     if name in bind.BOUND and backlog(runtime.redis, lane_queue(lane, name)) >= BACKLOG)
