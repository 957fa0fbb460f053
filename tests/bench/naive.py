"""Naive: one RQ job a message, one SDK call a job, one row a commit, and the worker as RQ starts it by default.

`python -m tests.bench.naive REDIS DATABASE STUB PROVIDER COUNT` prints messages a second and CPU ms a message.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import cache
from typing import Any

import psycopg
from africastalking.SMS import SMSService
from redis import Redis
from rq import Queue, Worker
from twilio.rest import Client

TO, BODY = "+212612345678", "0123456789" * 15
ACCOUNT, SECRET = "AC" + "0" * 32, "0" * 32


def send(provider: str, stub: str, database: str, number: int) -> None:
    """The job."""
    if provider == "twilio":
        _twilio(stub).messages.create(to=TO, from_="RSU", body=BODY)
    else:
        _africastalking(stub).send(BODY, [TO], "RSU")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE naive SET state = 'sent' WHERE number = %s", [number])


@cache
def _twilio(stub: str) -> Any:
    client = Client(ACCOUNT, SECRET)
    client.api.base_url = stub
    return client


@cache
def _africastalking(stub: str) -> Any:
    service = SMSService("sandbox", SECRET)
    service._baseUrl = f"{stub}/version1"
    return service


def main() -> None:
    redis_url, database, stub, provider, count = sys.argv[1:]
    numbers = range(int(count))
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE IF EXISTS naive")
        connection.execute("CREATE TABLE naive (number int PRIMARY KEY, state text)")
        connection.cursor().executemany("INSERT INTO naive VALUES (%s, 'created')", [[number] for number in numbers])
    # Before the forks, so that the baseline does not load the SDK once a message.
    _ = _twilio(stub).messages, _africastalking(stub)
    queue = Queue("naive", connection=Redis.from_url(redis_url))
    for number in numbers:
        queue.enqueue("tests.bench.naive.send", provider, stub, database, number)
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    Worker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")
    seconds, cpu = time.perf_counter() - began, sum(os.times()[:4]) - cpu
    with psycopg.connect(database) as connection:
        (sent,) = connection.execute("SELECT count(*) FROM naive WHERE state = 'sent'").fetchone() or (0,)
    if sent != len(numbers):
        sys.exit(f"{sent} of {len(numbers)} were sent")
    sys.stdout.write(json.dumps({"per_s": sent / seconds, "cpu_ms": 1000 * cpu / sent}))


if __name__ == "__main__":
    main()
