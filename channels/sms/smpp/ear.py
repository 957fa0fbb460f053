"""Ear: the thread in which receipts and texts are handed on, so that a slow database does not stop the sending.

The SMSC hears yes when the handler has returned, which is when it is durable. A handler that raised is asked again
with what the SMSC sends again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from channels.base import Inbound, Receipt
from channels.sms.smpp import receipt
from channels.sms.smpp.address import msisdn
from channels.sms.smpp.assembly import Assembly, Held
from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.status import OK, RX_T_APPN

OnReceipts = Callable[[Sequence[Receipt]], None]
OnInbound = Callable[[Inbound], None]
Answer = Callable[[Delivery, int], None]

MOST_WAITING = 5000
MOST_AT_ONCE = 500
TICK_S = 0.5

log = logging.getLogger(__name__)


class Ear:
    """Hands on what the link hears. `answer` may be called from this thread."""

    def __init__(self, provider: str, answer: Answer, on_receipts: OnReceipts, on_inbound: OnInbound,
                 clock: Callable[[], float] = monotonic) -> None:
        self._provider = provider
        self._answer = answer
        self._on_receipts = on_receipts
        self._on_inbound = on_inbound
        self._clock = clock
        self._assembly = Assembly()
        self._waiting: deque[Delivery] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"{provider} ear", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """Hands on what waits, and ends. What it answers then reaches no line any more."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(limit_s)

    def hear(self, delivery: Delivery) -> bool:
        """Take one; False when so many wait already that the SMSC must keep it."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(delivery)
            self._changed.notify()
        return True

    def idle(self) -> bool:
        """Whether all that was heard is handed on and answered, or held for want of a part."""
        with self._changed:
            return not self._waiting and not self._busy

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._hand_on(batch)
            except Exception as error:
                # The thread must live. Only the kind is told: a traceback may quote a text.
                log.error("what %s handed over could not be understood: %s", self._provider, type(error).__name__)
                for delivery in batch:
                    self._answer(delivery, RX_T_APPN)

    def _next(self) -> list[Delivery] | None:
        with self._changed:
            self._busy = False
            while not self._waiting:
                if self._ended:
                    return None
                if not self._changed.wait(TICK_S if self._assembly.waiting else None):
                    break
            self._busy = True
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]

    def _hand_on(self, batch: list[Delivery]) -> None:
        receipts = [delivery for delivery in batch if receipt.is_receipt(delivery)]
        if receipts:
            self._told(receipts)
        for text in (delivery for delivery in batch if not receipt.is_receipt(delivery)):
            self._heard(text)
        now = self._clock()
        for held in self._assembly.overdue(now):
            self._keep(held)
        for part in self._assembly.tired(now):
            self._answer(part, RX_T_APPN)

    def _told(self, deliveries: list[Delivery]) -> None:
        read = [receipt.read(delivery, self._provider) for delivery in deliveries]
        legible = [one for one in read if one is not None]
        if len(legible) < len(read):
            # Acknowledged all the same: it would be no more legible the next time.
            log.warning("%d receipts of %s name no message or no state", len(read) - len(legible), self._provider)
        status = OK if not legible or self._durable(self._on_receipts, legible) else RX_T_APPN
        for delivery in deliveries:
            self._answer(delivery, status)

    def _heard(self, part: Delivery) -> None:
        held = self._assembly.hold(part, self._clock())
        if held is None:
            log.warning("too many unfinished texts from %s", self._provider)
            self._answer(part, RX_T_APPN)
        elif held.whole or not held.parts:
            self._keep(held)

    def _keep(self, held: Held) -> None:
        """Hand a text on, unless that is done, and answer its parts."""
        kept = not held.parts or self._told_of(held)
        answered = (self._assembly.kept if kept else self._assembly.refused)(held, self._clock())
        for part in answered:
            self._answer(part, OK if kept else RX_T_APPN)

    def _told_of(self, held: Held) -> bool:
        source = msisdn(next(iter(held.parts.values())).source)
        if not source:
            log.info("a text from no telephone, by %s: nobody to answer", self._provider)
            return True
        return self._durable(self._on_inbound, Inbound(self._provider, held.name, source, held.text()))

    def _durable(self, handler: Callable[..., None], told: object) -> bool:
        try:
            handler(told)
        except Exception as error:
            log.error("what %s handed over could not be kept: %s", self._provider, type(error).__name__)
            return False
        return True
