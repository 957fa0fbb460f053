"""Clock: the process that rings. One is enough; two do no harm."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from zoneinfo import ZoneInfo

from redis.exceptions import RedisError

from gateway import logs
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.alarm import enqueue

log = logging.getLogger(__name__)

# Seconds between two rings of each job. The print house fetches a day's letters in the evening.
RINGS = {"relay": 1.0, "sweep": 5.0}
PRINTING_HOUR = 18
CASABLANCA = ZoneInfo("Africa/Casablanca")


def ring(runtime: Runtime, stop: threading.Event) -> None:
    """Ring each job at its pace until told to stop. Without Redis it waits: nothing is lost meanwhile."""
    due = dict.fromkeys(RINGS, 0.0)
    printed_on = None
    while not stop.wait(0.25):
        local = runtime.clock().astimezone(CASABLANCA)
        ringing = [name for name in RINGS if local.timestamp() >= due[name]]
        if local.hour >= PRINTING_HOUR and printed_on != local.date():
            ringing.append("print_letters")
            printed_on = local.date()
        for name in ringing:
            due[name] = local.timestamp() + RINGS.get(name, 0)
            try:
                enqueue(runtime.redis, name, once=True)
            except RedisError as error:
                log.warning("the queue cannot be reached (%s); trying again", type(error).__name__)


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
