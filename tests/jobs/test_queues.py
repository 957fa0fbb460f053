"""What stands in Redis: names of jobs and rows. Whoever writes there can ring, and do nothing else."""

import asyncio
import base64
import json
import shutil
import uuid
import zlib
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from channels.base import Rejected, Unknown
from gateway.app import create_app
from gateway.db import Database
from gateway.outbox import DECISION, REPLY, Message
from gateway.registry.score import IndexScore
from jobs.alarm import LANE_QUEUES, QUEUE_OF, QUEUES, enqueue, lane_queue
from jobs.queues import JOBS, worker
from tests.conftest import SETTINGS
from tests.jobs.fakes import ids, states, with_providers

MARK = "marked.txt"


@pytest.fixture
def database_url(tmp_path, sqlite_template):
    """What is proved here is Redis's: one database will do."""
    shutil.copy(sqlite_template, tmp_path / "house.db")
    return f"sqlite:///{tmp_path / 'house.db'}"


def work(runtime) -> None:
    worker(runtime).work(burst=True, logging_level="CRITICAL")


def ring_strangely(redis: Redis, data: object, queue: str = "notices", **fields: str | bytes) -> None:
    """Write a job as a stranger with access to Redis could."""
    name = str(uuid.uuid4())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    payload = data if isinstance(data, bytes) else zlib.compress(json.dumps(data).encode())
    redis.hset(f"rq:job:{name}", mapping={"created_at": now, "enqueued_at": now, "status": "queued", "origin": queue,
                                          "timeout": "10", "data": payload, **fields})
    redis.rpush(f"rq:queue:{queue}", name)
    redis.sadd("rq:queues", f"rq:queue:{queue}")


# Answers


def test_whoever_is_answered_by_one_provider_waits_for_no_silence_of_another(runtime, households):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 2)
    answered, sends = [], {"twilio": twilio.send, "africastalking": africastalking.send}

    async def late(message):
        await asyncio.sleep(1)
        answered.append("twilio")
        return await sends["twilio"](message)

    async def at_once(message):
        answered.append("africastalking")
        return await sends["africastalking"](message)

    twilio.send, africastalking.send = late, at_once
    for provider, one in zip(sends, ids(runtime), strict=True):
        enqueue(runtime.redis, "deliver", provider, REPLY, [one], queue=lane_queue(REPLY))
    work(runtime)
    assert answered == ["africastalking", "twilio"]
    assert states(runtime) == ["sent"] * 2


def test_what_breaks_on_the_way_of_an_answer_is_logged_and_others_go_on(runtime, households, caplog):
    runtime, *_ = with_providers(runtime)
    households(runtime)
    with runtime.database.write() as session:
        session.execute(sa.text("ALTER TABLE route_stop RENAME TO gone"))
    enqueue(runtime.redis, "deliver", "twilio", REPLY, ids(runtime), queue=lane_queue(REPLY))
    work(runtime)
    assert "a work of the loop failed" in caplog.text
    assert states(runtime) == ["created"]


# Hostile jobs


def hostile(mark) -> list[object]:
    """What a stranger may write as a job. Each would leave `mark` behind, or break the worker."""
    touch = ["touch", str(mark)]
    return [
        ["subprocess.check_output", None, [touch], {}],
        ["os.system", None, [" ".join(touch)], {}],
        ["builtins.open", None, [str(mark), "w"], {}],
        ["jobs.deliver.deliver", None, [[]], {}],
        ["touch", "pathlib.Path", [], {}],
        ["relay", {"instance": 1}, [], {}],
        ["relay", None, [], {"runtime": "another"}],
        ["relay", None, ["one", "too", "many"], {}],
        ["deliver", None, ["twilio", 1, ["not a name"]], {}],
        ["deliver", None, [None], {}],
        ["__class__", None, [], {}],
        [["relay"], None, [], {}],
        ["relay"],
        {"relay": 1},
        None,
        b"\x80\x04not json, and not compressed",
    ]


def test_a_strangers_jobs_do_nothing_and_the_work_goes_on(runtime, households, tmp_path):
    runtime, *_ = with_providers(runtime)
    households(runtime)
    jobs = hostile(tmp_path / MARK)
    for job in jobs:
        ring_strangely(runtime.redis, job)
    enqueue(runtime.redis, "deliver", "twilio", DECISION, ids(runtime))
    work(runtime)
    assert not (tmp_path / MARK).exists()
    assert states(runtime) == ["sent"]
    queue = Queue("notices", connection=runtime.redis, serializer=JSONSerializer)
    assert FailedJobRegistry(queue=queue, serializer=JSONSerializer).count == len(jobs)


def test_a_strangers_callbacks_are_not_called(runtime, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "stranger.py").write_text(
        f"import pathlib\ndef call(*_):\n    pathlib.Path({str(tmp_path / MARK)!r}).touch()\n")
    for job in (["relay", None, [], {}], ["deliver", None, ["twilio", 1, ["not a name"]], {}]):
        for outcome in ("success", "failure", "stopped"):
            ring_strangely(runtime.redis, job, **{f"{outcome}_callback_name": "stranger.call"})
    work(runtime)
    assert not (tmp_path / MARK).exists()


def test_a_strangers_webhooks_are_not_called(runtime, households, tmp_path):
    hook = json.dumps([{"url": "http://127.0.0.1:9/", "event": "finished"}])
    ring_strangely(runtime.redis, ["relay", None, [], {}], webhooks=hook)
    runtime, *_ = with_providers(runtime)
    households(runtime)
    enqueue(runtime.redis, "deliver", "twilio", DECISION, ids(runtime))
    work(runtime)
    assert states(runtime) == ["sent"]


def test_a_letter_named_in_a_strangers_job_is_not_sent_as_a_text(runtime, households):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 2, phones=False)
    ring_strangely(runtime.redis, ["deliver", None, [ids(runtime, "letter")], {}])
    work(runtime)
    assert twilio.sent + africastalking.sent == []
    assert states(runtime, "letter") == ["created"] * 2


# What a look into Redis tells


READ = {
    "string": lambda redis, key: [redis.get(key)],
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "set": lambda redis, key: redis.smembers(key),
    "zset": lambda redis, key: redis.zrange(key, 0, -1),
    "hash": lambda redis, key: [part for pair in redis.hgetall(key).items() for part in pair],
    "stream": lambda redis, key: [part for _, entry in redis.xrange(key) for pair in entry.items() for part in pair],
}


def everything(redis: Redis) -> str:
    """All keys and all values, jobs unpacked."""
    found = []
    for key in redis.keys("*"):
        found.append(key)
        kind = redis.type(key).decode()
        found += READ[kind](redis, key)
    packed = [base64.b64decode(value) if value.startswith(b"eJ") else value for value in found]
    unpacked = [zlib.decompress(value) for value in packed if value.startswith(b"\x78\x9c")]
    return "\n".join(value.decode(errors="replace") for value in [*found, *unpacked])


def call(runtime, session_id: str, text: str) -> None:
    client = create_app(runtime).test_client()
    answer = client.post(f"/ussd/africastalking/{SETTINGS['CALLBACK_TOKENS']}", data={
        "sessionId": session_id, "phoneNumber": "+212612300001", "networkCode": "60401", "serviceCode": "*580#",
        "text": text})
    assert answer.status_code == 200


def test_redis_holds_no_number_no_text_and_no_index(runtime, households, tmp_path):
    runtime, twilio, africastalking = with_providers(
        runtime, twilio=Rejected("21211", "+212612300001"), africastalking=Unknown("read_timeout", "+212612300002"))
    households(runtime, 6)
    enqueue(runtime.redis, "relay", once=True)
    enqueue(runtime.redis, "sweep", once=True)
    enqueue(runtime.redis, "deliver", "twilio", DECISION, ids(runtime))
    waiting = everything(runtime.redis)
    work(runtime)
    for text in ("", "1", "1*1", "1*1*123456"):
        call(runtime, "session 1", text)
    runtime.redis.set("a sign of life", b"that this test can see")
    seen = waiting + everything(runtime.redis)
    assert "a sign of life" in seen
    assert ids(runtime)[0] in seen

    with runtime.database.read() as session:
        bodies = [runtime.vault.open(message.body_sealed, "message.body", message.id)
                  for message in session.scalars(sa.select(Message))]
        indexes = [f"{value:.4f}"[:6] for value in session.scalars(sa.select(IndexScore.value))]
    numbers = [message.msisdn.removeprefix("+212") for message in twilio.sent + africastalking.sent]
    assert len(numbers) == 6
    for secret in [*bodies, *numbers, *indexes, "123456", "*580#"]:
        assert secret not in seen


def test_a_failed_job_leaves_the_kind_of_its_error_in_redis_and_no_word_of_it(runtime, tmp_path, caplog):
    broken = with_providers(runtime)[0]
    object.__setattr__(broken, "database", Database(f"sqlite:///{tmp_path / 'no tables.db'}"))
    enqueue(broken.redis, "relay")
    work(broken)
    broken.database.close()
    seen = everything(broken.redis)
    assert "OperationalError" in seen
    assert "no such table" not in seen
    assert "job relay failed" in caplog.text


def test_no_job_waits_in_redis_for_ever(runtime):
    for name in ("relay", "deliver", "print_letters"):
        enqueue(runtime.redis, name)
    assert all(runtime.redis.ttl(key) > 0 for key in runtime.redis.keys("rq:job:*"))


def test_every_queue_that_is_rung_in_is_watched():
    assert {*QUEUE_OF.values(), *LANE_QUEUES} == set(QUEUES)
    assert set(QUEUE_OF) == set(JOBS)
