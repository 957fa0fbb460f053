"""Worker: the process that does the jobs."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Sequence

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from gateway import logs
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.alarm import QUEUES, URGENT
from jobs.queues import worker

log = logging.getLogger(__name__)

# Where cores are few, bulk leaves them to whoever answers a person.
BULK_YIELDS = 5


def main() -> None:
    """`python -m jobs.worker`, or `python -m jobs.worker urgent` for one that only answers who waits.

    A lost Redis is waited for, not died of.
    """
    urgent = sys.argv[1:] == ["urgent"]
    names = URGENT if urgent else QUEUES
    logs.set_up()
    os.nice(0 if urgent else BULK_YIELDS)
    runtime = Runtime.open(Settings.load())
    settle_down(runtime)
    try:
        while not _worked_until_stopped(runtime, names):
            pass
    except StopRequested:
        return


def settle_down(runtime: Runtime) -> None:
    """What was loaded stays, and is not gone through again for every few hundred new objects: that took a third of a
    send."""
    _ = runtime.words, runtime.channels, runtime.scorer
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _worked_until_stopped(runtime: Runtime, names: Sequence[str]) -> bool:
    working = worker(runtime, names)
    try:
        working.work(logging_level="WARNING")
    except RedisError as error:
        log.warning("the queue cannot be reached (%s); trying again", type(error).__name__)
    if not working.asked_to_stop:
        time.sleep(1)
    return working.asked_to_stop


if __name__ == "__main__":
    main()
