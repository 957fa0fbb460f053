"""Telephone calls between handsets and the gateway: each document is played until a person must act.

Nothing takes its time here. Words are heard as soon as they come, and silence is what the handset says it is: the
page waits as long as a document asks, a test does not wait at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Literal
from urllib.parse import urljoin

from channels.sandbox.config import Config
from channels.sandbox.courier import Courier, NoAnswer
from channels.sandbox.numbering import canonical, is_dead
from channels.sandbox.recordings import Recording, Recordings
from channels.sandbox.voice_documents import (
    ApplicationError,
    AwaitedKeys,
    AwaitedMessage,
    HungUp,
    Paused,
    Played,
    Redirected,
    Rejected,
    Said,
    Step,
)
from channels.sandbox.voice_wires import Ending, Leg, Status, Wire

State = Literal["none", "ringing", "talking", "waiting_keys", "recording", "ended"]
Problem = Literal["", "unknown_number", "no_answer", "application_error", "refused"]
MOST_REDIRECTS = 20


@dataclass(frozen=True)
class Shown:
    """The last call as the handset shows it. `turn` counts what was awaited: silence is always that of one turn.

    `problem` is a word for the person, `detail` says the same to the author of a document.
    """

    state: State = "none"
    call: str = ""
    incoming: bool = False
    other: str = ""
    heard: tuple[Said | Played, ...] = field(repr=False, default=())
    awaits: AwaitedKeys | AwaitedMessage | None = None
    turn: int = 0
    problem: Problem = ""
    detail: str = ""


@dataclass
class _Call:
    leg: Leg
    wire: Wire
    state: State
    document: str = field(repr=False)
    steps: deque[Step] = field(repr=False, default_factory=deque)
    heard: list[Said | Played] = field(repr=False, default_factory=list)
    awaits: AwaitedKeys | AwaitedMessage | None = None
    typed: str = field(repr=False, default="")
    turn: int = 0
    redirects: int = 0
    answered_at: datetime | None = None
    problem: Problem = ""
    detail: str = ""

    @property
    def live(self) -> bool:
        return self.state != "ended"

    def shown(self) -> Shown:
        return Shown(
            self.state,
            self.leg.id,
            self.leg.incoming,
            self.leg.service,
            tuple(self.heard),
            self.awaits,
            self.turn,
            self.problem,
            self.detail,
        )


@dataclass
class _Line:
    """A telephone's own line. `shown` is replaced whole, so that it can be read while the gateway is asked."""

    lock: Lock = field(default_factory=Lock)
    call: _Call | None = None
    shown: Shown = field(default_factory=Shown)


class Calls:
    """All lines. Asking the gateway holds the lock of its own line only.

    `idle_s` is how long a call is kept in which nobody does anything; `ring_s` how long a handset rings at most.
    """

    def __init__(
        self,
        config: Config,
        courier: Courier,
        clock: Callable[[], datetime],
        wires: Mapping[str, Wire],
        recordings: Recordings,
        idle_s: float,
        ring_s: float,
    ) -> None:
        self._config = config
        self._courier = courier
        self._clock = clock
        self._wires = wires
        self._recordings = recordings
        self._idle_s = idle_s
        self._ring_s = ring_s
        self._lock = Lock()
        self._lines: dict[str, _Line] = {}

    def shown(self, msisdn: str) -> Shown:
        return self._line(msisdn).shown

    def lines(self) -> dict[str, bool]:
        """Every telephone that has called or was called, and whether it is in a call."""
        with self._lock:
            return {msisdn: line.call is not None and line.call.live for msisdn, line in self._lines.items()}

    def dial(self, msisdn: str, number: str = "") -> Shown:
        """Call the service. A call before it ends."""
        line = self._line(msisdn)
        with line.lock:
            self._leave(line)
            service = self._service(number)
            if not service:
                line.call, line.shown = None, Shown("ended", other=number, problem="unknown_number")
                return line.shown
            wire = self._wires[self._config.voice_provider]
            leg = wire.leg(msisdn, service)
            call = line.call = _Call(leg, wire, "ringing", leg.address)
            self._fetch(line, call, leg.address, {})
            return self._play(line, call)

    def ring(self, wire: Wire, leg: Leg, ring_s: float) -> None:
        """The service calls a person. Nobody is at a dead number; at a busy one, nobody hears it."""
        line = self._line(leg.msisdn)
        with line.lock:
            self._tell(wire, leg, "initiated")
            if line.call is not None and line.call.live:
                self._tell_end(wire, leg, Ending("busy", 0))
                return
            self._tell(wire, leg, "ringing")
            if is_dead(leg.msisdn):
                self._tell_end(wire, leg, Ending("no-answer", 0))
                return
            call = line.call = _Call(leg, wire, "ringing", leg.address)
            line.shown = call.shown()
        self._courier.later(min(ring_s, self._ring_s), lambda: self._give_up(line, call))

    def answer(self, msisdn: str) -> Shown:
        """Take the call that rings."""
        line = self._line(msisdn)
        with line.lock:
            call = line.call
            if call is None or call.state != "ringing":
                return line.shown
            call.answered_at = self._clock()
            self._tell(call.wire, call.leg, "in-progress")
            self._fetch(line, call, call.leg.address, {})
            return self._play(line, call)

    def press(self, msisdn: str, keys: str) -> Shown:
        """Press keys, one after the other; what one of them brings about, the next one meets."""
        line = self._line(msisdn)
        with line.lock:
            for key in keys:
                if line.call is not None and line.call.awaits is not None:
                    self._key(line, line.call, line.call.awaits, key)
            return line.shown

    def silence(self, msisdn: str, turn: int | None = None) -> Shown:
        """Nothing more is pressed or said. Of a turn that is over, it says nothing."""
        line = self._line(msisdn)
        with line.lock:
            call = line.call
            if call is None or call.awaits is None or turn not in (None, call.turn):
                return line.shown
            return self._give(line, call, call.awaits, "")

    def speak(self, msisdn: str, sound: bytes, here: str, *, hang_up: bool = False) -> Shown:
        """Leave a message where one is awaited; `here` is the operator's own address. Nobody listens otherwise.

        Raises `NotSound`.
        """
        line = self._line(msisdn)
        with line.lock:
            call = line.call
            if call is None or not isinstance(call.awaits, AwaitedMessage):
                return line.shown
            recording = self._recordings.keep(sound, call.awaits.seconds)
            address = self._onward(call, call.awaits.address)
            if hang_up:
                return self._end(line, call, "completed", spoken=recording, address=address, here=here)
            self._fetch(line, call, address, call.wire.spoken(recording, here))
            return self._play(line, call)

    def hang_up(self, msisdn: str) -> Shown:
        """Leave the call, or refuse the one that rings."""
        line = self._line(msisdn)
        with line.lock:
            return self._leave(line)

    def _line(self, msisdn: str) -> _Line:
        with self._lock:
            return self._lines.setdefault(msisdn, _Line())

    def _service(self, number: str) -> str:
        """The service's number that was dialled, the first where none was; empty for anybody else's."""
        known = (self._config.voice_number, self._config.missed_call_number)
        return next((one for one in known if one in (number, canonical(number))), "") if number else known[0]

    def _leave(self, line: _Line) -> Shown:
        call = line.call
        if call is None or not call.live:
            return line.shown
        return self._end(line, call, "busy" if call.state == "ringing" else "completed")

    def _give_up(self, line: _Line, call: _Call) -> None:
        with line.lock:
            if call.state == "ringing":
                self._end(line, call, "no-answer")

    def _expire(self, line: _Line, call: _Call, turn: int) -> None:
        with line.lock:
            if call.live and call.turn == turn:
                self._end(line, call, "completed")

    # What a person did

    def _key(self, line: _Line, call: _Call, awaits: AwaitedKeys | AwaitedMessage, key: str) -> None:
        if key in awaits.finish:
            self._give(line, call, awaits, key)
        elif isinstance(awaits, AwaitedKeys):
            call.typed += key
            if len(call.typed) == awaits.most:
                self._give(line, call, awaits, "")

    def _give(self, line: _Line, call: _Call, awaits: AwaitedKeys | AwaitedMessage, by: str) -> Shown:
        """Tell the keys pressed so far. Without any, as with a message that is empty, the document goes on."""
        if isinstance(awaits, AwaitedKeys) and (call.typed or awaits.on_silence):
            news = call.wire.pressed(call.typed, by)
            self._fetch(line, call, self._onward(call, awaits.address), news)
        else:
            call.awaits, call.state = None, "talking"
        return self._play(line, call)

    # What the document says

    def _fetch(self, line: _Line, call: _Call, address: str, news: Mapping[str, str]) -> None:
        """Ask for the next document; where there is none to play, the call ends with a problem."""
        status: Status = "in-progress" if call.answered_at else "ringing"
        if call.awaits is not None:
            call.redirects = 0
        call.awaits, call.typed, call.document = None, "", address
        if call.answered_at:
            call.state = "talking"
        line.shown = call.shown()
        try:
            answer = self._courier.ask(call.wire.turn(call.leg, address, status, news), call.wire.answer_s)
            if answer.status != 200:
                raise NoAnswer(f"HTTP {answer.status}")
            call.steps = deque(call.wire.read(answer))
            call.state = "talking"
        except NoAnswer as error:
            self._fail(line, call, "no_answer", str(error))
        except ApplicationError as error:
            self._fail(line, call, "application_error", str(error))

    def _play(self, line: _Line, call: _Call) -> Shown:
        """Take the steps of the documents until a person must act, or the call is over."""
        while call.state == "talking":
            if not call.steps:
                return self._end(line, call, "completed")
            self._take(line, call, call.steps.popleft())
        if call.live:
            call.turn += 1
            turn = call.turn
            self._courier.later(self._idle_s, lambda: self._expire(line, call, turn))
        line.shown = call.shown()
        return line.shown

    def _take(self, line: _Line, call: _Call, step: Step) -> None:
        if isinstance(step, Rejected):
            self._reject(line, call, step)
            return
        call.answered_at = call.answered_at or self._clock()
        match step:
            case Said() | Played():
                self._hear(call, step)
            case AwaitedKeys():
                for inside in step.inside:
                    self._hear(call, inside)
                call.awaits, call.state = step, "waiting_keys"
            case AwaitedMessage():
                if step.address:
                    call.leg = call.wire.recording(call.leg, self._onward(call, step.address))
                call.awaits, call.state = step, "recording"
            case Redirected():
                self._redirect(line, call, step)
            case HungUp():
                self._end(line, call, "completed")
            case Paused():
                pass  # Nothing is heard in it, and nothing takes its time.

    def _hear(self, call: _Call, step: Said | Played | Paused) -> None:
        if isinstance(step, Said):
            call.heard.append(step)
        elif isinstance(step, Played):
            call.heard.append(Played(urljoin(call.document, step.url)))

    def _redirect(self, line: _Line, call: _Call, step: Redirected) -> None:
        call.redirects += 1
        if call.redirects > MOST_REDIRECTS:
            self._fail(line, call, "application_error", f"more than {MOST_REDIRECTS} redirects without a key")
        else:
            self._fetch(line, call, self._onward(call, step.address), {})

    def _reject(self, line: _Line, call: _Call, step: Rejected) -> None:
        if call.answered_at:
            self._end(line, call, "completed")
        else:
            call.problem = "refused"
            self._end(line, call, "busy" if step.busy else "failed")

    def _onward(self, call: _Call, address: str) -> str:
        return urljoin(call.document, address) if address else call.wire.onward(call.leg, call.document)

    # The end

    def _fail(self, line: _Line, call: _Call, problem: Problem, detail: str) -> None:
        call.problem, call.detail = problem, detail
        self._end(line, call, "completed" if call.answered_at else "failed")

    def _end(
        self,
        line: _Line,
        call: _Call,
        status: Status,
        *,
        spoken: Recording | None = None,
        address: str = "",
        here: str = "",
    ) -> Shown:
        lasted = self._clock() - call.answered_at if call.answered_at else None
        call.state, call.awaits = "ended", None
        call.steps.clear()
        seconds = max(1, round(lasted.total_seconds())) if lasted is not None else 0
        self._tell_end(call.wire, call.leg, Ending(status, seconds, spoken, address, here))
        line.shown = call.shown()
        return line.shown

    def _tell(self, wire: Wire, leg: Leg, status: Status) -> None:
        """At once, and not later: the steps of one call are told in their order."""
        call = wire.progress(leg, status)
        if call is not None:
            self._courier.post(call)

    def _tell_end(self, wire: Wire, leg: Leg, ending: Ending) -> None:
        def tell() -> None:
            for call in wire.ended(leg, ending):
                self._courier.post(call)

        self._courier.later(0, tell)
