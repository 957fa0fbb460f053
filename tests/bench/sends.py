"""Sends: texts out of the outbox through a provider's official SDK, by one worker process and by two."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from gateway import outbox
from gateway.outbox import NOTICE, Draft, Message
from gateway.runtime import Runtime
from jobs.alarm import enqueue, lane_queue
from jobs.relay import BATCH
from tests.bench.figure import Figure, scaled

TEXTS = scaled(8_000, 30_000)
NAIVE_TEXTS = scaled(40, 200)
# Two parts of Arabic, as most notices are.
BODY = "السجل الاجتماعي الموحد: تم تحديد مؤشر أسرتكم. للاطلاع عليه اطلبوا:\n*580#\nرمز الرسالة: "


def sends(runtime: Runtime, environment: dict[str, str], stub: str, provider: str) -> Iterator[Figure]:
    """`runtime` and the workers in `environment` send by this provider only; beside a job a message."""
    naive = _naive(runtime, stub, provider)
    one = _work(runtime, environment, provider, 1)
    yield Figure(f"{provider}_sends_per_s", one["per_s"], "texts/s a worker", naive["per_s"],
                 ">= 1200" if provider == "twilio" else None)
    yield Figure(f"{provider}_sends_vs_naive", one["per_s"] / naive["per_s"], "times", 1, ">= 55")
    yield Figure(f"{provider}_cpu_ms_per_send", 1000 * one["cpu_s"] / one["sent"], "ms", naive["cpu_ms"], "<= 0.45")
    yield Figure(f"{provider}_round_trips_per_send", one["trips"] / one["sent"], "statements and commits", 2)
    yield Figure(f"{provider}_memory_grown_mb", one["grown_mb"], f"MB in {TEXTS} texts", one["mb"])
    if provider == "twilio":
        two = _work(runtime, environment, provider, 2)
        yield Figure("twilio_two_workers_per_s", two["per_s"], "texts/s by two workers", one["per_s"], "ratio >= 1.8")
        # With PostgreSQL, Redis and the stub on the same cores: where none is idle, no ratio says what a worker can.
        yield Figure("twilio_two_workers_busy", two["busy"], "cores busy meanwhile", float(os.cpu_count() or 1))


def _work(runtime: Runtime, environment: dict[str, str], provider: str, count: int) -> dict[str, float]:
    """What so many worker processes did, once all of them are up and warm: texts a second, and what that took."""
    _fill(runtime, provider, 1000 * count)
    command = [sys.executable, "-m", "tests.bench.sender"]
    workers = [subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for one in workers:
        one.stdout.readline()
    ids = _fill(runtime, provider, TEXTS * count)
    began, busy = time.perf_counter(), _busy_s()
    for one in workers:
        one.stdin.write("\n")
        one.stdin.flush()
    told = [json.loads(one.stdout.readline()) for one in workers]
    seconds = time.perf_counter() - began
    busy = (_busy_s() - busy) / seconds
    for one in workers:
        one.communicate()
    sent = _sent(runtime, ids)
    return {"per_s": sent / seconds, "sent": sent, "busy": busy,
            **{key: sum(one[key] for one in told) for key in told[0]}}


def _busy_s() -> float:
    """Seconds of all cores in which they were not idle: proc(5), /proc/stat."""
    user, nice, system, _idle, _waiting, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _fill(runtime: Runtime, provider: str, count: int) -> list[str]:
    """So many texts that are due, and the jobs that a relay would have rung for."""
    now = runtime.clock()
    with runtime.database.write() as session:
        for start in range(0, count, 1000):
            outbox.post(session, runtime.vault, [
                Draft(None, "bench", f"{now.isoformat()} {number}", "sms", "ar-MA", reference,
                      f"+2126{number:08d}", BODY + reference, "at_most_once", NOTICE)
                for number in range(start, min(start + 1000, count)) for reference in (f"{number:09d}",)], now)
    with runtime.database.write() as session:
        ids = [str(one.id) for one in outbox.due(session, now, count)]
    for start in range(0, len(ids), BATCH):
        enqueue(runtime.redis, "deliver", provider, NOTICE, ids[start : start + BATCH], queue=lane_queue(NOTICE))
    return ids


def _sent(runtime: Runtime, ids: list[str]) -> int:
    """All of them, or the figure would be of failures."""
    with runtime.database.read() as session:
        states = session.execute(sa.select(Message.state, sa.func.count()).where(
            Message.notice == "bench", Message.id.in_(ids)).group_by(Message.state)).all()
    if [state for state, _ in states] != ["sent"]:
        raise RuntimeError(f"not all were sent: {sorted(tuple(row) for row in states)}")
    return int(states[0][1])


def _naive(runtime: Runtime, stub: str, provider: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.naive", runtime.settings.redis_url, runtime.settings.database_url,
               stub, provider, str(NAIVE_TEXTS)]
    measured = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return dict(json.loads(measured))


@contextmanager
def providers() -> Iterator[str]:
    """The address of a stub of both providers."""
    port = free_port()
    stub = subprocess.Popen([sys.executable, "-m", "tests.bench.stub", str(port)])
    try:
        until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        stub.terminate()
        stub.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_listening(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
