"""USSD through Africa's Talking: a callback in, a screen out, and what was typed since the last one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from channels.base import BadCallback, CallbackRequest, Ended, Screen, Turn

MSISDN = r"\+[1-9][0-9]{5,14}"
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True)
class Typed:
    """What the caller typed since the last turn.

    - `first`: a new session; `inputs` is what was dialled after the service code (`*580*3#`), mostly nothing.
    - `input`: one answer in `inputs`, perhaps empty, with any `*` of its own.
    - `duplicate`: the same callback again; give the same answer and do nothing.
    - `rewritten`: not a continuation; treat it as a new session of the same caller.
    """

    kind: Literal["first", "input", "duplicate", "rewritten"]
    inputs: tuple[str, ...] = field(default=(), repr=False)


class AfricasTalkingUssd:
    """https://developers.africastalking.com/docs/ussd/handle_sessions. The path's token is checked before."""

    name = "africastalking"

    def turn(self, request: CallbackRequest) -> Turn:
        """Raises `BadCallback`."""
        return Turn(
            self.name, _filled(request, "sessionId"), _filled(request, "serviceCode"),
            _filled(request, "phoneNumber", MSISDN),
            request.one("text", ""), request.one("networkCode", ""))

    def answer(self, screen: Screen, turn: Turn) -> tuple[str, Mapping[str, str]]:
        """The body and headers. Anything before `CON ` or `END ` would cut the session."""
        return f"{'END' if screen.final else 'CON'} {screen.text}", TEXT

    def ended(self, request: CallbackRequest) -> Ended:
        """The notification after a session, less its `input` and `lastAppResponse`. Raises `BadCallback`."""
        return Ended(
            self.name, _filled(request, "sessionId"), _filled(request, "phoneNumber", MSISDN),
            _filled(request, "status", r"[A-Za-z]{1,32}"), request.one("networkCode", ""),
            _number(request, "hopsCount"), _number(request, "durationInMillis"),
            _filled(request, "cost", r"|([A-Z]{3} )?[0-9]{1,9}(\.[0-9]{1,9})?", ""))


def typed(previous: str | None, text: str) -> Typed:
    """What `text` (all inputs of the session, joined with `*`) adds to the `previous` turn's, None at first.

    The last part after a `*` is not it: an input may be empty, may hold a `*`, and a callback may come again.
    """
    if previous is None:
        return Typed("first", tuple(part for part in text.split("*") if part))
    if text == previous:
        return Typed("duplicate")
    if previous == "":
        return Typed("input", (text,))
    if text.startswith(f"{previous}*"):
        return Typed("input", (text[len(previous) + 1:],))
    return Typed("rewritten")


def _filled(request: CallbackRequest, key: str, pattern: str = r".+", default: str | None = None) -> str:
    value = request.one(key, default)
    if not re.fullmatch(pattern, value):
        raise BadCallback(f"field {key} is malformed")
    return value


def _number(request: CallbackRequest, key: str) -> int | None:
    value = request.one(key, "")
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
