"""Link: the one bind to an SMSC, kept up by a thread of its own, with a window of unanswered submits.

SMPP 3.4 sections 4.1 (bind), 4.2 (unbind), 4.4 (submit_sm), 4.11 (enquire_link), 7.2 (timers).
"""

from __future__ import annotations

import logging
import random
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from channels.base import Misconfigured, SendError, Throttled, Unavailable, Unknown
from channels.sms.smpp import line as wire
from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.line import Line, LineBroke, Pdu, Server, Unreadable
from channels.sms.smpp.status import OK, RINVBNDSTS, RINVCMDID, RX_P_APPN, RX_T_APPN, refusal

MOST_WAITING = 10_000
# SMPP 3.4 section 5.2.23, without its NUL.
LONGEST_ID = 64
# A bind that held for so long was a good one, and the next is tried soon.
LASTING_S = 30.0
TICK_S = 1.0
SHORTEST_TICK_S = 0.02

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """Who binds, and how many submits may be unanswered: no more than the contract allows."""

    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    window: int = 10


@dataclass(frozen=True)
class Pace:
    """How long is waited: for a connection, for an answer, for a sign of life, before binding again."""

    connect_s: float = 5.0
    answer_s: float = 10.0
    enquire_s: float = 30.0
    again_s: float = 1.0
    longest_again_s: float = 60.0


@dataclass(frozen=True)
class _Submit:
    fields: Mapping[str, Any] = field(repr=False)
    until: float
    taken: Future[str] = field(default_factory=Future)


class Link:
    """Safe to call from several threads. `hear` takes what the SMSC hands over, or refuses it; `idle` says whether
    all of that is handed on."""

    def __init__(self, server: Server, account: Account, pace: Pace,
                 hear: Callable[[Delivery], bool], idle: Callable[[], bool]) -> None:
        self._server = server
        self._account = account
        self._pace = pace
        self._hear = hear
        self._idle = idle
        self._lock = threading.Lock()
        self._fault: SendError | None = Unavailable("not_bound")
        self._waiting: deque[_Submit] = deque()
        self._unanswered: dict[int, tuple[float, _Submit]] = {}
        self._answers: deque[tuple[Delivery, int]] = deque()
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._enquire_at = 0.0
        self._silent_at: float | None = None
        self._alarm = _Alarm()
        self._thread = threading.Thread(target=self._run, name="smpp link", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """Submit nothing more, hear the answers to what was, unbind. Returns when that is done, or a little after the
        time is over: a connection that is being made is not waited for."""
        self._stop_by = monotonic() + limit_s
        self._stopping.set()
        self._alarm.ring()
        self._thread.join(limit_s + TICK_S)
        if not self._thread.is_alive():
            self._alarm.close()

    @property
    def bound(self) -> bool:
        return self._fault is None

    def submit(self, fields: Mapping[str, Any], until: float, *, first: bool = False) -> Future[str]:
        """Submit one part when the window has a place, before those that wait if `first`.

        The future holds the SMSC's name for it, or a `SendError`: `Unavailable` or `Throttled` (no place before
        `until`, in the clock's seconds) for what was never sent, `Unknown` for what was and had no answer.
        """
        submit = _Submit(fields, until)
        with self._lock:
            fault = self._fault or (Throttled("queue_full") if len(self._waiting) >= MOST_WAITING else None)
            if fault is None:
                (self._waiting.appendleft if first else self._waiting.append)(submit)
        if fault:
            submit.taken.set_exception(_again(fault))
        else:
            self._alarm.ring()
        return submit.taken

    def answer(self, delivery: Delivery, status: int) -> None:
        """Answer what was heard. On a line that is over, nothing: the SMSC will hand it over again."""
        self._answers.append((delivery, status))
        self._alarm.ring()

    def _run(self) -> None:
        wait_s, number = self._pace.again_s, 0
        while not self._stopping.is_set():
            number, began = number + 1, monotonic()
            fault = self._one_line(number)
            if not self._stopping.is_set():
                log.warning("not bound: %s", fault)
            if monotonic() - began > LASTING_S:
                wait_s = self._pace.again_s
            elif isinstance(fault, Misconfigured):
                # An account that is refused again and again is locked.
                wait_s = self._pace.longest_again_s
            self._stopping.wait(random.uniform(wait_s / 2, wait_s))  # noqa: S311
            wait_s = min(2 * wait_s, self._pace.longest_again_s)

    def _one_line(self, number: int) -> SendError:
        """Connect, bind, and serve, until that is over for whichever reason."""
        line: Line | None = None
        fault: SendError = Unavailable("stopped")
        try:
            line = Line(self._server, number, self._pace.connect_s)
            self._bind(line)
            self._serve(line)
        except LineBroke as broke:
            fault = Unavailable(broke.code)
        except SendError as error:
            fault = error
        except Exception as error:
            # The thread must live. Only the kind is told: a traceback may quote a number or a text.
            log.error("a line fell over: %s", type(error).__name__)
            fault = Unavailable("fell_over")
        finally:
            if line:
                line.close()
            self._lost(fault)
        return fault

    def _bind(self, line: Line) -> None:
        account = self._account
        line.put("bind_transceiver", line.next_sequence(), system_id=account.system_id, password=account.password,
                 system_type=account.system_type)
        answer = line.wait(wire.BIND_TRANSCEIVER_RESP, self._pace.answer_s)
        if answer.status != OK or answer.command != wire.BIND_TRANSCEIVER_RESP:
            fault = refusal(answer.status)
            # What a refused bind says of our account stops the sending; what else it says is of no message.
            raise fault if isinstance(fault, Misconfigured) else Unavailable(fault.code, fault.detail)

    def _serve(self, line: Line) -> None:
        self._enquire_at, self._silent_at = monotonic() + self._pace.enquire_s, None
        with self._lock:
            self._fault = None
        log.info("bound")
        with selectors.DefaultSelector() as ready:
            ready.register(line, selectors.EVENT_READ)
            ready.register(self._alarm, selectors.EVENT_READ)
            while not self._may_go():
                now = monotonic()
                self._put(line, now)
                line.flush()
                ready.modify(line, line.interest)
                ready.select(0 if line.has_more else self._rest_s(now))
                self._alarm.reset()
                for pdu in line.read():
                    self._take(line, pdu)
                if line.ended:
                    raise LineBroke("line_broke")
        line.put("unbind", line.next_sequence())
        with suppress(LineBroke):
            line.wait(wire.UNBIND_RESP, max(self._stop_by - monotonic(), SHORTEST_TICK_S))

    def _may_go(self) -> bool:
        """Whether the line may be unbound: we are to stop, and nothing is in flight or the time is over."""
        if not self._stopping.is_set():
            return False
        self._refuse(Unavailable("stopping"))
        # In this order: what has been handed on has its answer among the others by then.
        in_flight = not self._idle() or self._answers or self._unanswered
        return not in_flight or monotonic() >= self._stop_by

    def _rest_s(self, now: float) -> float:
        """How long nothing is to be done, unless something comes."""
        moments = [now + TICK_S, self._enquire_at]
        if self._silent_at:
            moments.append(self._silent_at)
        if self._unanswered:
            moments.append(next(iter(self._unanswered.values()))[0] + self._pace.answer_s)
        if self._waiting:
            moments.append(self._waiting[0].until)
        return SHORTEST_TICK_S if self._stopping.is_set() else max(min(moments) - now, SHORTEST_TICK_S)

    def _put(self, line: Line, now: float) -> None:
        """Write what is due: answers, a question after the other side's life, submits."""
        while self._answers:
            delivery, status = self._answers.popleft()
            if delivery.line == line.number:
                line.put("deliver_sm_resp", delivery.sequence, status=status)
        if self._silent_at and self._silent_at <= now:
            raise LineBroke("silent")
        self._give_up(now)
        if self._enquire_at <= now:
            line.put("enquire_link", line.next_sequence())
            self._enquire_at = now + self._pace.enquire_s
            self._silent_at = self._silent_at or now + self._pace.answer_s
        # While the other side is asked whether it lives, nothing more is risked on it.
        while not self._silent_at and len(self._unanswered) < self._account.window and (submit := self._next()):
            sequence = line.next_sequence()
            self._unanswered[sequence] = now, submit
            line.put("submit_sm", sequence, **submit.fields)
        self._refuse_late(now)

    def _next(self) -> _Submit | None:
        """The next part to submit, for which somebody still waits."""
        with self._lock:
            while self._waiting:
                submit = self._waiting.popleft()
                if submit.taken.set_running_or_notify_cancel():
                    return submit
        return None

    def _give_up(self, now: float) -> None:
        """On answers that are not coming. Whether anything will is asked at once."""
        while self._unanswered:
            sequence, (since, submit) = next(iter(self._unanswered.items()))
            if since + self._pace.answer_s > now:
                break
            del self._unanswered[sequence]
            submit.taken.set_exception(Unknown("no_answer"))
            self._enquire_at = now

    def _refuse_late(self, now: float) -> None:
        """What found no place in the window in time."""
        late = []
        with self._lock:
            while self._waiting and self._waiting[0].until <= now:
                late.append(self._waiting.popleft())
        for submit in late:
            _fail(submit, Throttled("window_full"))

    def _take(self, line: Line, pdu: Pdu) -> None:
        self._silent_at = None
        match pdu.command:
            case wire.SUBMIT_SM_RESP | wire.GENERIC_NACK:
                self._answered(pdu)
            case wire.DELIVER_SM:
                self._heard(line, pdu)
            case wire.ENQUIRE_LINK:
                line.put("enquire_link_resp", pdu.sequence)
            case wire.UNBIND:
                line.put("unbind_resp", pdu.sequence)
                line.flush()
                raise LineBroke("unbound")
            case wire.ALERT_NOTIFICATION:
                pass
            case command if not command & wire.RESPONSE:
                line.put("generic_nack", pdu.sequence, status=RINVCMDID)

    def _answered(self, pdu: Pdu) -> None:
        _, submit = self._unanswered.pop(pdu.sequence, (0.0, None))
        if submit is None:
            if pdu.command == wire.GENERIC_NACK and not pdu.sequence:
                raise LineBroke("not_understood")
            return
        if pdu.status != OK:
            submit.taken.set_exception(refusal(pdu.status))
        elif pdu.command == wire.GENERIC_NACK or not 0 < len(pdu.message_id) <= LONGEST_ID:
            submit.taken.set_exception(Unknown("no_id"))
        else:
            submit.taken.set_result(pdu.message_id)
        if pdu.status == RINVBNDSTS:
            raise LineBroke("not_bound")

    def _heard(self, line: Line, pdu: Pdu) -> None:
        try:
            heard = wire.delivery(pdu, line.number)
        except Unreadable:
            log.warning("a deliver_sm could not be read")
            line.put("deliver_sm_resp", pdu.sequence, status=RX_P_APPN)
            return
        if not self._hear(heard):
            line.put("deliver_sm_resp", pdu.sequence, status=RX_T_APPN)

    def _lost(self, fault: SendError) -> None:
        """The line is over: what was submitted on it may have been taken, what waited was not."""
        self._refuse(fault)
        for _, submit in self._unanswered.values():
            submit.taken.set_exception(Unknown(fault.code))
        self._unanswered.clear()

    def _refuse(self, fault: SendError) -> None:
        with self._lock:
            self._fault, waiting = fault, [*self._waiting]
            self._waiting.clear()
        for submit in waiting:
            _fail(submit, fault)


class _Alarm:
    """Wakes a thread that waits for sockets."""

    def __init__(self) -> None:
        self._bell, self._hand = socket.socketpair()
        self._bell.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        return self._bell.fileno()

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            # After the end nobody listens.
            with suppress(OSError):
                self._hand.send(b"!")

    def reset(self) -> None:
        """Before looking at what it was rung for: whoever comes after that rings anew."""
        with suppress(BlockingIOError):
            self._bell.recv(64)
        self._rung = False

    def close(self) -> None:
        self._bell.close()
        self._hand.close()


def _fail(submit: _Submit, fault: SendError) -> None:
    if submit.taken.set_running_or_notify_cancel():
        submit.taken.set_exception(_again(fault))


def _again(fault: SendError) -> SendError:
    """The same for somebody else: an exception raised twice gathers both tracebacks."""
    return type(fault)(fault.code, fault.detail)
