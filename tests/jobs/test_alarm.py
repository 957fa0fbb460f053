"""The alarm rings again, whatever became of the one before."""

import shutil
import uuid
from dataclasses import replace

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from gateway.db import Database
from gateway.outbox import NOTICE
from jobs.alarm import ANSWERED_WITHIN_S, answered, enqueue, lane_queue
from jobs.queues import worker


@pytest.fixture
def database_url(tmp_path, sqlite_template):
    """What is proved here is Redis's: one database will do."""
    shutil.copy(sqlite_template, tmp_path / "house.db")
    return f"sqlite:///{tmp_path / 'house.db'}"


def waiting(redis: Redis, queue: str = "clock") -> int:
    return len(Queue(queue, connection=redis, serializer=JSONSerializer))


def work(runtime) -> None:
    worker(runtime).work(burst=True, logging_level="CRITICAL")


def test_a_ring_that_still_waits_is_not_rung_for_again(runtime):
    for _ in range(5):
        enqueue(runtime.redis, "relay", once=True)
    assert waiting(runtime.redis) == 1


def test_a_ring_that_was_answered_may_be_rung_again(runtime):
    for _ in range(3):
        enqueue(runtime.redis, "relay", once=True)
        assert waiting(runtime.redis) == 1
        work(runtime)
        assert waiting(runtime.redis) == 0


def test_a_job_that_failed_is_rung_for_again(runtime, tmp_path, caplog):
    broken = replace(runtime, database=Database(f"sqlite:///{tmp_path / 'without tables.db'}"))
    enqueue(runtime.redis, "relay", once=True)
    work(broken)
    broken.database.close()
    assert "job relay failed" in caplog.text
    enqueue(runtime.redis, "relay", once=True)
    assert waiting(runtime.redis) == 1


def test_a_job_whose_worker_was_killed_is_rung_for_again(runtime):
    enqueue(runtime.redis, "relay", once=True)
    doomed = worker(runtime)
    doomed.register_birth()
    job, _ = doomed.dequeue_job_and_maintain_ttl(1)
    doomed.prepare_execution(job)
    answered(runtime.redis, "relay")
    enqueue(runtime.redis, "relay", once=True)
    assert waiting(runtime.redis) == 1


def test_a_ring_that_nobody_answers_does_not_stand_in_the_way_for_ever(runtime):
    enqueue(runtime.redis, "sweep", once=True)
    (flag,) = runtime.redis.keys("rung:*")
    assert 0 < runtime.redis.ttl(flag) <= ANSWERED_WITHIN_S


def test_a_ring_that_was_lost_with_redis_is_rung_again(runtime):
    enqueue(runtime.redis, "relay", once=True)
    runtime.redis.flushall()
    enqueue(runtime.redis, "relay", once=True)
    assert waiting(runtime.redis) == 1


def test_a_batch_is_named_by_its_rows_alone(runtime):
    ids = [str(uuid.uuid4()) for _ in range(3)]
    enqueue(runtime.redis, "deliver", "twilio", NOTICE, ids, queue=lane_queue(NOTICE))
    (job,) = Queue("notices", connection=runtime.redis, serializer=JSONSerializer).get_jobs()
    assert (job.func_name, job.args, job.kwargs) == ("deliver", ["twilio", NOTICE, ids], {})
