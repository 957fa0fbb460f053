"""The operator: carries texts and calls to and from handsets, and tells the gateway what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from channels.sandbox.behaviour import Journey, Temper
from channels.sandbox.book import Book, Failure, Step, Text
from channels.sandbox.calls import Calls
from channels.sandbox.config import Config
from channels.sandbox.courier import Call, Courier
from channels.sandbox.exchange import Exchange
from channels.sandbox.loop import Loop
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
    """The whole state, safe to use from several threads. The same `seed` throws the same faults again.

    Its server and its courier share one `loop`: a text that comes in and its receipts that go out cost no change of
    thread. The server is stopped before the operator is closed.
    """

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
        self.loop = Loop()
        self.courier = Courier(self.loop, patience.retry_after_s)
        self.exchange = Exchange(config, self.courier, clock, patience.ussd_answer_s, patience.ussd_idle_s)
        self.recordings = Recordings()
        self.twilio_voice = TwilioVoice(config, clock)
        self.africastalking_voice = AfricasTalkingVoice(config, clock)
        wires = {wire.name: wire for wire in (self.twilio_voice, self.africastalking_voice)}
        self.calls = Calls(config, self.courier, clock, wires, self.recordings, patience.call_idle_s, patience.ring_s)
        self._tempers = {provider: Temper(f"{seed} {provider}") for provider in PROVIDERS}

    def temper(self, provider: str) -> Temper:
        """Raises `KeyError` for a provider that the operator does not play."""
        return self._tempers[provider]

    async def accept(self, text: Text, report: Report | None) -> None:
        """Enter a text in the book and let it travel. `report` writes the receipt of each of its steps."""
        self.book.add(text)
        await _Travel(self, text, report, self.temper(text.provider).journey()).start()

    def close(self) -> None:
        """What is not due yet is forgotten, and who waits is let go. To close once more does nothing."""
        self.courier.close()
        self.loop.close()


@dataclass(slots=True)
class _Travel:
    """The way of one text. No task waits for its steps, only a timer: there are many texts on their way.

    Its steps come when they are due, however long the gateway takes to hear of them; of one text it hears in order.
    """

    operator: Operator
    text: Text
    report: Report | None
    journey: Journey
    untold: list[Step] = field(default_factory=list)
    telling: bool = False

    async def start(self) -> None:
        if self.journey.early:
            for step in self._steps():
                self._move(step)
                await self._tell(step)
        else:
            self.operator.courier.at(self.journey.waits_s[0], self._begin)

    def _begin(self) -> None:
        first, second = self._steps()
        self._take(first)
        self.operator.courier.at(self.journey.waits_s[1], lambda: self._take(second))

    def _take(self, step: Step) -> None:
        self._move(step)
        self.untold.append(step)
        if not self.telling:
            self.telling = True
            self.operator.courier.due(self.journey.late_s, self._tell_all)

    async def _tell_all(self) -> None:
        """One hand for one text: two would send its receipts in any order."""
        while self.untold:
            await self._tell(self.untold.pop(0))
        self.telling = False

    def _steps(self) -> tuple[Step, Step]:
        final: Step = "failed" if self._failure() else "delivered"
        return (final, "sent") if self.journey.reordered else ("sent", final)

    def _failure(self) -> Failure:
        return "nobody" if is_dead(self.text.msisdn) else self.journey.failure

    def _move(self, step: Step) -> None:
        self.operator.book.move(self.text, step, self.operator.clock(), self._failure())

    async def _tell(self, step: Step) -> None:
        if self.report is None or self.journey.lost:
            return
        book, text = self.operator.book, self.text
        for _ in range(2 if self.journey.duplicated else 1):
            book.receipt_begun(text)
            await self.operator.courier.deliver(self.report(text, step), partial(book.receipt_sent, text))
