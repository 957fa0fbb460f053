"""Relay: texts that are due are given a route and put into the queue of their lane, by hundreds."""

from __future__ import annotations

from collections import defaultdict

from gateway import outbox
from gateway.hours import lanes_awake
from gateway.routes import Routes
from gateway.runtime import Runtime
from jobs.alarm import backlog, enqueue, lane_queue

BATCH = 500
BATCHES_A_ROUND = 10
BACKLOG = 20


def relay(runtime: Runtime) -> int:
    """Wake the texts that are due. Returns how many. A lane that sleeps is not looked at before its morning.

    While a lane's queue is long its rows are left asleep: to ring for them again would only make it longer. So are they
    while every provider is stopped.
    """
    now = runtime.clock()
    lanes = [lane for lane in lanes_awake(now, runtime.settings.asleep)
             if backlog(runtime.redis, lane_queue(lane)) < BACKLOG]
    with runtime.database.write() as session:
        routes = Routes.read(session, runtime.settings, now)
        most = routes.takes(BATCH * BATCHES_A_ROUND) if lanes else 0
        found = outbox.due(session, now, most, lanes) if most else []
    routed: dict[tuple[int, str], list[str]] = defaultdict(list)
    for one in found:
        route = routes.choose(one)
        if route:
            routed[one.lane, route].append(str(one.id))
    for (lane, route), ids in routed.items():
        for start in range(0, len(ids), BATCH):
            enqueue(runtime.redis, "deliver", route, lane, ids[start : start + BATCH], queue=lane_queue(lane))
    return sum(map(len, routed.values()))
