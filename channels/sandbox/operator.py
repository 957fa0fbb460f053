"""The operator: carries texts and calls to and from handsets, and tells the gateway what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

from channels.sandbox.behaviour import Journey, Temper
from channels.sandbox.book import Book, Step, Text
from channels.sandbox.calls import Calls
from channels.sandbox.config import Config
from channels.sandbox.courier import Call, Courier
from channels.sandbox.exchange import Exchange
from channels.sandbox.numbering import is_dead
from channels.sandbox.recordings import Recordings
from channels.sandbox.voice_wires import AfricasTalkingVoice, TwilioVoice

PROVIDERS = ("twilio", "africastalking")

Report = Callable[[Text, Step], Call]


@dataclass(frozen=True)
class Patience:
    """How long the operator waits, in seconds: for a USSD screen, for a person, and before each new attempt.

    Africa's Talking ends a session whose screen takes more than 10 s, or whose person more than a minute. A handset
    rings for a minute at most, and a call in which nobody does anything is hung up after ten.
    """

    ussd_answer_s: float = 10.0
    ussd_idle_s: float = 60.0
    ring_s: float = 60.0
    call_idle_s: float = 600.0
    retry_after_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Operator:
    """The whole state, safe to use from several threads. The same `seed` throws the same faults again."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = utc_now,
        seed: int = 1,
        patience: Patience | None = None,
    ) -> None:
        patience = patience or Patience()
        self.config = config
        self.clock = clock
        self.book = Book()
        self.courier = Courier(patience.retry_after_s)
        self.exchange = Exchange(config, self.courier, clock, patience.ussd_answer_s, patience.ussd_idle_s)
        self.recordings = Recordings()
        self.twilio_voice = TwilioVoice(config, clock)
        self.africastalking_voice = AfricasTalkingVoice(config, clock)
        wires = {wire.name: wire for wire in (self.twilio_voice, self.africastalking_voice)}
        self.calls = Calls(config, self.courier, clock, wires, self.recordings, patience.call_idle_s, patience.ring_s)
        self._tempers = {provider: Temper(f"{seed} {provider}") for provider in PROVIDERS}
        self._closing = Event()

    def temper(self, provider: str) -> Temper:
        """Raises `KeyError` for a provider that the operator does not play."""
        return self._tempers[provider]

    def accept(self, text: Text, report: Report | None) -> None:
        """Enter a text in the book and let it travel. `report` writes the receipt of each of its steps."""
        self.book.add(text)
        journey = self.temper(text.provider).journey()
        final: Step = "failed" if journey.undelivered or is_dead(text.msisdn) else "delivered"
        first: tuple[Step, Step] = (final, "sent") if journey.reordered else ("sent", final)
        travel = _Travel(self, text.provider_id, report, journey)
        if journey.early:
            for step in first:
                travel.take(step)
        else:
            travel.start(first)

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the operator's own end."""
        self._closing.wait(seconds)

    def close(self) -> None:
        self._closing.set()
        self.courier.close()


@dataclass(frozen=True)
class _Travel:
    operator: Operator
    provider_id: str
    report: Report | None
    journey: Journey

    def start(self, steps: tuple[Step, Step]) -> None:
        """One step after the other: two threads would send the receipts in any order."""
        first, second = steps
        wait_first_s, wait_second_s = self.journey.waits_s
        later = self.operator.courier.later

        def begin() -> None:
            self.take(first)
            later(wait_second_s, lambda: self.take(second))

        later(wait_first_s, begin)

    def take(self, step: Step) -> None:
        text = self.operator.book.move(self.provider_id, step, self.operator.clock())
        if self.report is None or self.journey.lost:
            return
        for _ in range(2 if self.journey.duplicated else 1):
            call = self.report(text, step)
            self.operator.courier.post(call, lambda: self.operator.book.receipt_sent(self.provider_id))
