"""The clock rings each job at its pace, whatever becomes of Redis and of the wall clock."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from jobs.alarm import QUEUES, answered
from jobs.clock import RINGS, ring
from tests.channels.test_sandbox import until
from tests.conftest import Clock, open_house

EVENING = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


@pytest.fixture
def runtime(redis_url, tmp_path, clock):
    opened = open_house("sqlite:///unused.db", redis_url, tmp_path, clock)
    yield opened
    opened.close()


@contextmanager
def ringing(runtime) -> Iterator[None]:
    stop = threading.Event()
    clock = threading.Thread(target=ring, args=(runtime, stop))
    clock.start()
    try:
        yield
    finally:
        stop.set()
        clock.join()


def rung(runtime) -> set[str]:
    return {job.func_name for name in QUEUES
            for job in Queue(name, connection=runtime.redis, serializer=JSONSerializer).get_jobs()}


BY_DAY = set(RINGS) - {"print_letters"}


def test_every_job_but_the_printing_is_rung_by_day(runtime):
    with ringing(runtime):
        until(lambda: rung(runtime) == BY_DAY)


def test_letters_are_rung_for_in_the_evening(runtime, clock):
    clock.now = EVENING
    with ringing(runtime):
        until(lambda: rung(runtime) == set(RINGS))


def test_the_ringing_goes_on_when_the_wall_clock_is_set_back(runtime):
    clock = Clock(EVENING)
    with ringing(replace(runtime, clock=clock)):
        until(lambda: rung(runtime))
        clock.now -= timedelta(hours=6)
        runtime.redis.flushall()
        answered(runtime.redis, "relay")
        until(lambda: "relay" in rung(runtime))


def test_the_ringing_goes_on_when_redis_comes_back(runtime, caplog):
    with Redis(port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        lonely = replace(runtime, redis=nowhere)
        with ringing(lonely):
            until(lambda: any(line.levelno == logging.WARNING for line in caplog.records))
            object.__setattr__(lonely, "redis", runtime.redis)
            until(lambda: rung(runtime) == BY_DAY)
