"""The exchange: USSD sessions between a handset and the gateway, in Africa's Talking's wire format.

Source: developers.africastalking.com, USSD: "Handle sessions" and "End of session notifications".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Literal

from channels.sandbox.config import Config
from channels.sandbox.courier import Call, Courier, NoAnswer
from channels.sandbox.numbering import network_of

Problem = Literal["", "unknown_code", "no_answer", "no_session"]
Ending = Literal["Success", "Incomplete", "Failed"]
# What costs nobody anything still has a cost in the notification.
COST = "MAD 0.0000"
HOP_METADATA = "at-ussd-hop-metadata"


@dataclass(frozen=True)
class Display:
    """What the handset shows. `problem` says in a word why there is no text."""

    text: str = field(repr=False)
    final: bool
    session: str | None
    problem: Problem = ""


@dataclass
class _Session:
    msisdn: str = field(repr=False)
    typed: list[str] = field(repr=False)
    began: datetime
    id: str = field(default_factory=lambda: f"ATUid_{secrets.token_hex(16)}")
    hops: int = 0
    labels: list[str] = field(default_factory=list)
    last_answer: str = field(repr=False, default="")

    @property
    def text(self) -> str:
        return "*".join(self.typed)


@dataclass
class _Line:
    """A telephone's own line: one session at a time, one key press after the other."""

    lock: Lock = field(default_factory=Lock)
    session: _Session | None = None


class Exchange:
    """All lines. A call to the gateway holds the lock of its own line only."""

    def __init__(
        self, config: Config, courier: Courier, clock: Callable[[], datetime], answer_s: float, idle_s: float
    ) -> None:
        self._config = config
        self._courier = courier
        self._clock = clock
        self._answer_s = answer_s
        self._idle_s = idle_s
        self._lock = Lock()
        self._lines: dict[str, _Line] = {}

    def dial(self, msisdn: str, code: str) -> Display:
        """Begin a session. `*580*1*2#` dials `*580#` with `1*2` typed already."""
        dialled = self._dialled(code)
        line = self._line(msisdn)
        with line.lock:
            self._end(line, "Incomplete")
            if dialled is None:
                return Display("", True, None, "unknown_code")
            line.session = _Session(msisdn, dialled, self._clock())
            return self._turn(line, line.session)

    def type(self, msisdn: str, typed: str) -> Display:
        """Answer the screen that is shown."""
        line = self._line(msisdn)
        with line.lock:
            if line.session is None:
                return Display("", True, None, "no_session")
            line.session.typed.append(typed)
            return self._turn(line, line.session)

    def hang_up(self, msisdn: str) -> Display:
        line = self._line(msisdn)
        with line.lock:
            session = line.session
            self._end(line, "Incomplete")
            return Display("", True, session.id if session else None)

    def lines(self) -> dict[str, bool]:
        """Every telephone that has dialled, and whether it is in a session."""
        with self._lock:
            return {msisdn: line.session is not None for msisdn, line in self._lines.items()}

    def _dialled(self, code: str) -> list[str] | None:
        head = self._config.service_code.removesuffix("#")
        if code == self._config.service_code:
            return []
        if code.startswith(f"{head}*") and code.endswith("#"):
            return code[len(head) + 1 : -1].split("*")
        return None

    def _line(self, msisdn: str) -> _Line:
        with self._lock:
            return self._lines.setdefault(msisdn, _Line())

    def _turn(self, line: _Line, session: _Session) -> Display:
        session.hops += 1
        text, final = self._ask(session)
        if text is None:
            self._end(line, "Failed")
            return Display("", True, session.id, "no_answer")
        if final:
            self._end(line, "Success")
        else:
            hops = session.hops
            self._courier.later(self._idle_s, lambda: self._expire(line, session, hops))
        return Display(text, final, session.id)

    def _ask(self, session: _Session) -> tuple[str | None, bool]:
        form = {
            "sessionId": session.id,
            "phoneNumber": session.msisdn,
            "networkCode": network_of(session.msisdn),
            "serviceCode": self._config.service_code,
            "text": session.text,
        }
        try:
            answer = self._courier.ask(Call(self._address(), form), self._answer_s)
        except NoAnswer:
            return None, True
        session.last_answer = answer.body
        session.labels.append(answer.headers.get(HOP_METADATA, ""))
        if answer.status != 200 or not answer.body.startswith(("CON ", "END ")):
            return None, True
        return answer.body[4:], answer.body.startswith("END ")

    def _expire(self, line: _Line, session: _Session, hops: int) -> None:
        """The person has not answered in time: nothing was typed since this was set."""
        with line.lock:
            if line.session is session and session.hops == hops:
                self._end(line, "Incomplete")

    def _end(self, line: _Line, status: Ending) -> None:
        session, line.session = line.session, None
        if session is None:
            return
        now = self._clock()
        form = {
            "date": now.strftime("%Y-%m-%d %H:%M:%S"),
            "sessionId": session.id,
            "serviceCode": self._config.service_code,
            "networkCode": network_of(session.msisdn),
            "phoneNumber": session.msisdn,
            "status": status,
            "cost": COST,
            "durationInMillis": str(int((now - session.began).total_seconds() * 1000)),
            "hopsCount": str(session.hops),
            "hopsMetadata": "|".join(session.labels),
            "input": session.text,
            "lastAppResponse": session.last_answer,
        }
        if status == "Failed":
            form["errorMessage"] = "Application did not answer with CON or END in time"
        call = Call(f"{self._address()}/ended", form)
        self._courier.later(0, lambda: self._courier.post(call))

    def _address(self) -> str:
        return f"{self._config.gateway_url.rstrip('/')}/ussd/africastalking/{self._config.callback_token}"
