"""The worker's process outlives Redis, and ends when it is asked to."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from gateway.embedded_redis import command
from jobs.alarm import enqueue
from jobs.queues import worker
from tests.channels.test_sandbox import until
from tests.conftest import NOON, SETTINGS, open_house

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(*started: str, **environment: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(started, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_outlives_its_redis_and_ends_when_it_is_asked_to(port, tmp_path, sqlite_template):
    shutil.copy(sqlite_template, tmp_path / "house.db")
    house = {**SETTINGS, "DATABASE_URL": f"sqlite:///{tmp_path / 'house.db'}", "VAR_DIR": str(tmp_path),
             "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    with (Redis(port=port, retry=Retry(NoBackoff(), 0)) as redis,
          running(sys.executable, "-m", "jobs.worker", **house) as process):
        for _ in range(2):
            with running(*command(tmp_path, port)):
                until(lambda: _is_there(redis))
                enqueue(redis, "relay", once=True)
                until(lambda: redis.exists("rung:relay") == 0 and redis.llen("rq:queue:clock") == 0, 30)
                redis.flushall()
                enqueue(redis, "sweep", once=True)
                until(lambda: redis.exists("rung:sweep") == 0, 30)
                assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_redis_that_dies_in_the_middle_of_a_job_is_not_taken_for_a_wish_to_end(port, tmp_path, sqlite_template):
    shutil.copy(sqlite_template, tmp_path / "house.db")
    with running(*command(tmp_path, port)) as server, Redis(port=port, retry=Retry(NoBackoff(), 0)) as redis:
        until(lambda: _is_there(redis))

        def deadly_clock() -> datetime:
            server.kill()
            server.wait()
            return NOON

        runtime = open_house(f"sqlite:///{tmp_path / 'house.db'}", f"redis://127.0.0.1:{port}/0", tmp_path,
                             lambda: NOON).at(deadly_clock)
        enqueue(redis, "relay")
        working = worker(runtime)
        with suppress(RedisError):
            working.work(logging_level="CRITICAL")
        assert not working.asked_to_stop
        working.request_stop(signal.SIGTERM, None)
        assert working.asked_to_stop
        runtime.close()


def _is_there(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
