"""Smpp: the process that is bound to an operator's SMSC: it alone sends by it, and hears receipts and texts.

Of several processes one is bound, and the others wait for its bind. The jobs of its queues are taken while it is bound,
and the relay is told of that; what then cannot be sent here goes by other providers.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from redis.exceptions import RedisError

from channels.base import Receipt
from channels.sms.smpp import SmppSms
from gateway import logs, outbox
from gateway.runtime import Runtime, open_smpp
from gateway.settings import Settings, SettingsError, SmppAccount
from gateway.web.receipts import LONGEST_ID
from gateway.web.sms import answer
from jobs.alarm import lane_queue
from jobs.deliver import deliver
from jobs.queues import worker
from jobs.tenure import MARGIN_S, Tenure
from jobs.worker import settle_down

log = logging.getLogger(__name__)

PROVIDER = SmppSms.name
QUEUES = tuple(lane_queue(lane, PROVIDER) for lane in range(len(outbox.LANES)))
# Two threads do the jobs, so that somebody who waits for a reply does not wait for a campaign.
DESKS = (QUEUES[:1], QUEUES[1:])
# No text of ours has more parts: a notice has three at most, and an answer too.
MOST_PARTS = 4
LOOK_S = 0.2
AGAIN_S = 1.0
# How long it is waited for the answers to what was submitted; and when another may soon bind.
LAST_ANSWERS_S = 10.0
UNBIND_WITHIN_S = MARGIN_S - 2.0


def main() -> None:
    """`python -m jobs.smpp`. Ends at SIGTERM, once what is in the air has ended and it is unbound."""
    logs.set_up()
    settings = Settings.load()
    account = account_of(settings)
    runtime = Runtime.open(settings)
    settle_down(runtime)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        _Post(runtime, account, stop).hold()
        stop.wait(AGAIN_S)


def account_of(settings: Settings) -> SmppAccount:
    """The account to bind by. Raises `SettingsError` where there is none, or a slow send would outlast its lease."""
    if settings.smpp is None:
        raise SettingsError(["SMS_PROVIDERS: name smpp too, as twilio:70,smpp:30, or there is nothing to bind to"])
    longest_s = open_smpp(settings.smpp).longest_s(MOST_PARTS)
    if settings.lease_s <= longest_s:
        raise SettingsError([f"LEASE_S: must be more than {longest_s:.0f}: so long a text of {MOST_PARTS} parts may "
                             "take by SMPP"])
    return settings.smpp


class _Post:
    """The bind while it is this process's: its connection, its tenure and its workers."""

    def __init__(self, runtime: Runtime, account: SmppAccount, stop: threading.Event) -> None:
        self._channel = open_smpp(account)
        self._runtime = replace(runtime, channels={**runtime.channels, PROVIDER: self._channel})
        self._stop = stop
        self._tenure = Tenure(runtime, PROVIDER, lambda: self._channel.bound and not stop.is_set(), self._unbind_now)

    def hold(self) -> None:
        """Nothing while the bind is another's; else until it is lost, or all is to stop."""
        if not self._tenure.begin():
            return
        try:
            self._channel.start(self._keep, partial(answer, self._runtime))
            with ThreadPoolExecutor(len(DESKS)) as desks:
                list(desks.map(self._work, DESKS))
        finally:
            self._tenure.tell()
            self._channel.stop(LAST_ANSWERS_S if self._tenure.held else UNBIND_WITHIN_S)
            self._tenure.end()

    def _may_go(self) -> bool:
        return self._tenure.held and self._channel.bound and not self._stop.is_set()

    def _work(self, queues: Sequence[str]) -> None:
        """Do the jobs of these queues whenever we may. Each desk by itself: a line that broke and is back again may
        have been missed by the other. A lost Redis is waited for.
        """
        jobs = {"deliver": partial(deliver, may_go=self._may_go)}
        while self._tenure.held and not self._stop.is_set():
            if self._may_go():
                self._tenure.tell()
                try:
                    worker(self._runtime, queues, jobs, self._may_go).work(logging_level="WARNING")
                except RedisError as error:
                    log.warning("the queue cannot be reached (%s); trying again", type(error).__name__)
                    self._stop.wait(AGAIN_S)
            self._stop.wait(LOOK_S)

    def _unbind_now(self) -> None:
        self._channel.stop(UNBIND_WITHIN_S)

    # In the channel's thread: what raises comes again.

    def _keep(self, receipts: Sequence[Receipt]) -> None:
        """What bears a longer name than any message has is nobody's."""
        receipts, now = [one for one in receipts if len(one.provider_id) <= LONGEST_ID], self._runtime.clock()
        with self._runtime.database.write() as session:
            outbox.receive_all(session, self._runtime.vault, receipts, now)
        for outcome, number in Counter(one.outcome or "on_the_way" for one in receipts).items():
            self._runtime.count("receipts", number, provider=PROVIDER, outcome=outcome)


if __name__ == "__main__":
    main()
