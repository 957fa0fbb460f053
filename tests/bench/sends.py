"""Sends: texts out of the outbox through a provider's official SDK, by one worker process."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from gateway import outbox
from gateway.outbox import Message
from gateway.runtime import Runtime
from jobs.alarm import enqueue
from jobs.queues import worker
from jobs.relay import BATCH
from tests.bench.figure import Figure, scaled

TEXTS = scaled(500, 5_000)
TARGETS = {"twilio": ">= 1200, ratio >= 55", "africastalking": "ratio >= 55"}
NAIVE_TEXTS = scaled(40, 200)


def sends(runtime: Runtime, stub: str, provider: str) -> list[Figure]:
    """`runtime` sends by this provider only. Texts and processor time, beside a job a message."""
    with runtime.database.write() as session:
        ids = [str(one) for one in outbox.due(session, "sms", runtime.clock(), TEXTS)]
    for start in range(0, len(ids), BATCH):
        enqueue(runtime.redis, "deliver", ids[start : start + BATCH])
    logging.getLogger("rq.worker").setLevel(logging.ERROR)
    began, cpu = time.perf_counter(), time.process_time()
    worker(runtime).work(burst=True, logging_level="ERROR")
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    sent = _sent(runtime, ids)
    naive = _naive(runtime, stub, provider)
    return [
        Figure(f"{provider}_sends_per_s", sent / seconds, "texts/s a worker", naive["per_s"], TARGETS[provider]),
        Figure(f"{provider}_cpu_ms_per_send", 1000 * cpu / sent, "ms", naive["cpu_ms"], "<= 0.45"),
    ]


def _sent(runtime: Runtime, ids: list[str]) -> int:
    """All of them, or the figure would be of failures."""
    with runtime.database.read() as session:
        states = session.scalars(sa.select(Message.state).where(Message.id.in_(ids))).all()
    if set(states) != {"sent"}:
        raise RuntimeError(f"not all were sent: {sorted(set(states))}")
    return len(states)


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
