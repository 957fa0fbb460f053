"""Clock: the process that rings. One is enough; two do no harm."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType

from redis.exceptions import RedisError

from gateway import logs
from gateway.post import PRINTING_HOUR
from gateway.registry.clock import CASABLANCA
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.alarm import enqueue

log = logging.getLogger(__name__)

# Seconds between two rings of each job.
RINGS = {"relay": 1.0, "settle_receipts": 0.5, "sweep": 5.0, "print_letters": 3600.0, "tell": 5.0,
         "watch_deadlines": 60.0, "call_back": 5.0, "fetch_voice_messages": 30.0, "doubt_numbers": 86400.0,
         "prepare_months": 86400.0, "weigh": 60.0, "pace_campaigns": 5.0}


def ring(runtime: Runtime, stop: threading.Event) -> None:
    """Ring each job at its pace until told to stop. Without Redis it waits: nothing is lost meanwhile."""
    due = dict.fromkeys(RINGS, time.monotonic())
    while not stop.wait(0.25):
        evening = runtime.clock().astimezone(CASABLANCA).hour >= PRINTING_HOUR
        for name in [name for name in RINGS if time.monotonic() >= due[name]]:
            if name == "print_letters" and not evening:
                continue
            try:
                enqueue(runtime.redis, name, once=True)
            except RedisError as error:
                log.warning("the queue cannot be reached (%s); trying again", type(error).__name__)
            else:
                due[name] = time.monotonic() + RINGS[name]


def main() -> None:
    """`python -m jobs.clock`."""
    logs.set_up()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    ring(Runtime.open(Settings.load()), stop)


if __name__ == "__main__":
    main()
