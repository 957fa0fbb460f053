"""Worker: the process that does the jobs."""

from __future__ import annotations

import gc
import logging
import time

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from gateway import logs
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.queues import worker

log = logging.getLogger(__name__)


def main() -> None:
    """`python -m jobs.worker`. A lost Redis is waited for, not died of."""
    logs.set_up()
    runtime = Runtime.open(Settings.load())
    settle_down(runtime)
    try:
        while not _worked_until_stopped(runtime):
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


def _worked_until_stopped(runtime: Runtime) -> bool:
    working = worker(runtime)
    try:
        working.work(logging_level="WARNING")
    except RedisError as error:
        log.warning("the queue cannot be reached (%s); trying again", type(error).__name__)
    if not working.asked_to_stop:
        time.sleep(1)
    return working.asked_to_stop


if __name__ == "__main__":
    main()
