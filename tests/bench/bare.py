"""Bare: what a USSD turn takes at least on this server: a form, a session in Redis, one indexed row, a text.

No dialogue, no language, no PIN, no secrets, no lock: a callback that comes twice acts twice.
"""

from __future__ import annotations

import json
import os
import threading

import psycopg
from flask import Flask, Response, request
from redis import Redis

ROWS = 1_000_000


def fill(database: str) -> None:
    """The table of its own."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE bare (number int PRIMARY KEY, said text)")
        connection.execute("INSERT INTO bare SELECT n, '9,' || lpad(n::text, 7, '0') FROM generate_series(0, %s) n",
                           [ROWS - 1])


def serve() -> Flask:
    """What the web server imports. Redis and PostgreSQL are those of the environment, a connection a thread."""
    app, redis, mine = Flask("bare"), Redis.from_url(os.environ["REDIS_URL"]), threading.local()

    @app.post("/ussd/africastalking/<token>")
    def turn(token: str) -> Response:
        if not hasattr(mine, "connection"):
            mine.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        key = f"bare:{request.form['sessionId']}"
        kept = redis.get(key)
        turns = json.loads(kept)["turns"] + 1 if kept else 1
        redis.setex(key, 600, json.dumps({"turns": turns}))
        (said,) = mine.connection.execute(
            "SELECT said FROM bare WHERE number = %s", [int(request.form["phoneNumber"][1:]) % ROWS]).fetchone()
        return Response(f"CON {said}", content_type="text/plain; charset=utf-8")

    return app
