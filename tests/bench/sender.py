"""Sender: a worker process that says when it is up, waits for a line, does all the jobs that there are, and tells
what that took: processor seconds, megabytes more, and statements and commits by the driver's own count."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from gateway import logs
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.queues import worker
from jobs.worker import settle_down


def main() -> None:
    logs.set_up(logging.ERROR)
    logging.getLogger("rq.worker").setLevel(logging.ERROR)
    runtime = Runtime.open(Settings.load())
    settle_down(runtime)
    worker(runtime).work(burst=True, logging_level="ERROR")
    trips = [0]

    def asked(*_: object) -> None:
        trips[0] += 1

    for happening in ("after_cursor_execute", "commit"):
        sa.event.listen(runtime.database.engine, happening, asked)
    _say("up")
    sys.stdin.readline()
    before_mb, cpu = _resident_mb(), time.process_time()
    worker(runtime).work(burst=True, logging_level="ERROR")
    _say(json.dumps({"cpu_s": time.process_time() - cpu, "mb": before_mb, "grown_mb": _resident_mb() - before_mb,
                     "trips": trips[0]}))
    runtime.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


if __name__ == "__main__":
    main()
