"""Health: is this process alive, may it be sent traffic, and what do the figures say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.orm import Session

from gateway import bind, hours, unreached
from gateway import routes as routing
from gateway.outbox import Message, ReceiptRecord, months
from gateway.registry.complaint import Complaint
from gateway.registry.review import Review
from gateway.runtime import Runtime
from gateway.untold import Untold

# A due message that waits longer than this means that no worker or no clock is running.
WAITS_AT_MOST = timedelta(minutes=5)
# The states of what is not over, as the indexes of the table part them.
OPEN = (("created",), ("held",), ("sending", "unknown", "sent", "handed"))


def routes(runtime: Runtime) -> Blueprint:
    """`/health/live`, `/health/ready` and `/metrics` (Prometheus text format)."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health/live")
    def live() -> Response:
        return jsonify(status="live")

    @blueprint.get("/health/ready")
    def ready() -> tuple[Response, int]:
        checks = {"database": _works(lambda: _oldest_due_s(runtime)), "redis": _works(runtime.redis.ping)}
        checks["outbox"] = checks["database"] and _oldest_due_s(runtime) < WAITS_AT_MOST.total_seconds()
        serving = checks["database"] and checks["redis"]
        return jsonify(status="ready" if serving else "not ready", checks=checks), 200 if serving else 503

    @blueprint.get("/metrics")
    def metrics() -> Response:
        registry = CollectorRegistry()
        registry.register(Figures(runtime))
        return Response(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")

    return blueprint


class Figures:
    """Counts the tables when asked, so that every process tells the same; turns and receipts come from Redis."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """The metric families, by prometheus_client's protocol."""
        with self._runtime.database.read() as session:
            messages = GaugeMetricFamily("mouachir_messages", "Messages by medium and state: all that wait or are on "
                                         "their way; of the others those of this month and the last",
                                         labels=["medium", "state"])
            for (medium, state), number in sorted(_messages(session).items()):
                messages.add_metric([medium, state], number)
            yield messages
            for name, model, said in (("mouachir_reviews", Review, "Reviews asked"),
                                      ("mouachir_complaints", Complaint, "Complaints received")):
                yield GaugeMetricFamily(name, said, session.scalar(sa.select(sa.func.count()).select_from(model)))
            yield GaugeMetricFamily("mouachir_receipts_waiting", "Receipts that wait for their message",
                                    session.scalar(sa.select(sa.func.count()).select_from(ReceiptRecord)
                                                   .where(ReceiptRecord.look_at.is_not(None))))
            yield GaugeMetricFamily("mouachir_untold", "Notices that could not be worded or posted",
                                    session.scalar(sa.select(sa.func.count()).select_from(Untold)))
            at_centre = GaugeMetricFamily("mouachir_letters_at_centre", "Letters to be handed over, by what became of "
                                          "the text that calls their household", labels=["called"])
            for called, count in sorted(unreached.count(session).items()):
                at_centre.add_metric([called], count)
            yield at_centre
            stopped = GaugeMetricFamily("mouachir_provider_stopped", "1: gets no texts, and an operator is needed",
                                        labels=["provider"])
            stops = routing.stops(session)
            for provider, _ in self._runtime.settings.sms_providers:
                stopped.add_metric([provider], provider in stops)
            yield stopped
            if self._runtime.settings.smpp:
                bound = GaugeMetricFamily("mouachir_bound", "1: a process is bound to the operator's SMSC",
                                          labels=["provider"])
                bound.add_metric(["smpp"], "smpp" not in bind.unbound(session, self._runtime.clock()))
                yield bound
        yield GaugeMetricFamily("mouachir_outbox_oldest_due_seconds", "For how long the oldest text that is due "
                                "could have been sent: the quiet hours of its lane do not count",
                                _oldest_due_s(self._runtime))
        for name, counts in groupby(self._runtime.counts(), key=lambda counted: counted[0]):
            family: CounterMetricFamily | None = None
            for _, labels, amount in counts:
                family = family or CounterMetricFamily(f"mouachir_{name}", f"{name} since Redis was emptied",
                                                       labels=list(labels))
                family.add_metric(list(labels.values()), amount)
            if family:
                yield family


def _oldest_due_s(runtime: Runtime) -> float:
    now, asleep = runtime.clock(), runtime.settings.asleep
    longest = timedelta()
    with runtime.database.read() as session:
        for lane in hours.lanes_awake(now, asleep):
            oldest = session.scalar(sa.select(sa.func.min(Message.not_before)).where(
                Message.state == "created", Message.medium == "sms", Message.lane == lane))
            if oldest and oldest < now:
                longest = max(longest, hours.waking(oldest, now, asleep, lane))
    return longest.total_seconds()


def _messages(session: Session) -> Counter[tuple[str, str]]:
    """By medium and state. Of older months only what an index holds is counted, and no part is read whole."""
    today = datetime.now(UTC).date()
    since = months.first_name((today.replace(day=1) - timedelta(days=1)).replace(day=1))
    counted: Counter[tuple[str, str]] = Counter()
    for where in (Message.id >= since, *(sa.and_(Message.id < since, Message.state.in_(states)) for states in OPEN)):
        for medium, state, number in session.execute(sa.select(Message.medium, Message.state, sa.func.count())
                                                     .where(where).group_by(Message.medium, Message.state)):
            counted[medium, state] += number
    return counted


def _works(check: object) -> bool:
    try:
        check()  # type: ignore[operator]
    except Exception:
        return False
    return True
