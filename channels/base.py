"""What crosses the wall between the gateway and a provider: plain frozen values, and four kinds of error.

A channel knows no household, no index and no database. It is handed an `Outbound`, it answers `Accepted`
or raises one of the `SendError`s, each named for what the caller does next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Outcome = Literal["sent", "delivered", "failed"]


@dataclass(frozen=True)
class Outbound:
    """One text to one telephone.

    `msisdn` is E.164 (`+2126...`). `token` is our own opaque name for the message: it rides in the callback
    address where the provider allows one, so that a receipt finds its message even when the provider's answer
    to the send was lost.
    """

    token: str
    msisdn: str = field(repr=False)
    body: str = field(repr=False)
    valid_for_s: int = 36_000


@dataclass(frozen=True)
class Accepted:
    """The provider has taken the message. `provider_id` is its name there.

    `parts` is how many it counted, `cost` its own words for the price (`MAD 0.35`), where it says. A provider that
    takes each part by itself names the first in `provider_id` and the others in `more`: the text is delivered when
    there are receipts for all of them, and has failed when one of them has.
    """

    provider_id: str
    parts: int | None = None
    cost: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """A delivery receipt, translated. `outcome` is None for a step on the way (queued, buffered).

    `token` is ours when the provider carries one back; `status` is the provider's own word, kept as it came. Of a
    failure it is told whether it lasts (`permanent`), may be over in some hours (`temporary`), or is the wish of a
    person who wants no texts at this number (`opted_out`). `also` are other spellings of `provider_id` that the
    message may be known by, to be tried after it, and only where the telephone is the same: each may be the name of
    somebody else's message.
    """

    provider: str
    provider_id: str
    status: str
    outcome: Outcome | None
    msisdn: str = field(repr=False, default="")
    token: str | None = None
    error: str | None = None
    permanent: bool = False
    also: tuple[str, ...] = ()
    temporary: bool = False
    opted_out: bool = False


@dataclass(frozen=True)
class Inbound:
    """A text from a person to the service. `provider_id` tells a repeated callback from a second text."""

    provider: str
    provider_id: str
    msisdn: str = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True)
class Turn:
    """One turn of a USSD session, as the provider's callback told it.

    `text` is everything typed since dialling, joined with `*` (Africa's Talking, USSD); empty at first. An operator
    that sends only what was typed now says so by `last`, None in the turn that begins a session; `text` is what was
    dialled behind the code then, and `order` its own count of the turns where it has one.
    """

    provider: str
    session_id: str
    service_code: str
    msisdn: str = field(repr=False)
    text: str = field(repr=False)
    network: str = ""
    only_last: bool = False
    last: str | None = field(repr=False, default=None)
    order: str = ""


@dataclass(frozen=True)
class Ended:
    """How a USSD session ended, for the figures only. What was typed and shown in it is never kept.

    `hops` and `duration_ms` are None where the provider did not say; `cost` is its own words (`KES 0.5`).
    """

    provider: str
    session_id: str
    msisdn: str = field(repr=False)
    status: str
    network: str = ""
    hops: int | None = None
    duration_ms: int | None = None
    cost: str = ""


@dataclass(frozen=True)
class Screen:
    """What the telephone shows. `final` ends the session."""

    text: str = field(repr=False)
    final: bool = False


@dataclass(frozen=True)
class Piece:
    """Something to be heard: from the recording at an address (https), or else left to the provider's speech."""

    text: str = field(repr=False)
    locale: str
    recording: str = ""


@dataclass(frozen=True)
class Prompt:
    """What a caller hears, and what is awaited after it.

    - `keys`: at most `most` of them; `#` ends them sooner. After `seconds` without one the call goes on all the same.
    - `voice`: a beep, then a message of at most `seconds`, ended by `#` or by silence.
    - `nothing`: the call ends.
    """

    pieces: tuple[Piece, ...] = field(repr=False)
    awaits: Literal["keys", "voice", "nothing"] = "nothing"
    most: int = 1
    seconds: int = 6


@dataclass(frozen=True)
class Recorded:
    """A message that a caller spoke, still with the provider. `seconds` is None where it did not say."""

    provider: str
    url: str = field(repr=False)
    seconds: int | None = None


@dataclass(frozen=True)
class Heard:
    """One callback of a telephone call. `keys` are those pressed since the last one, empty after silence.

    `msisdn` is the person's telephone, whoever called whom; empty where the number was withheld. A call that is
    over (`ended`) is not answered any more; `cost` is the provider's own words for it (`KES 3.2`). `placed` is a call
    that we made.
    """

    provider: str
    call_id: str
    msisdn: str = field(repr=False)
    dialled: str = field(repr=False, default="")
    keys: str = field(repr=False, default="")
    recorded: Recorded | None = None
    ended: bool = False
    placed: bool = False
    seconds: int | None = None
    cost: str = ""


class SendError(Exception):
    """A send that was not accepted. `code` is the provider's own, kept for the attempt's record.

    The message of the exception never holds a number or a text.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail


class Rejected(SendError):
    """Never: this person cannot be reached by this text (no such number, landline, opted out)."""

    def __init__(self, code: str, detail: str = "", *, opted_out: bool = False) -> None:
        super().__init__(code, detail)
        self.opted_out = opted_out


class Unavailable(SendError):
    """Later, or by another route: certainly not accepted here (connection refused, no route)."""


class Throttled(SendError):
    """Later and slower: certainly not accepted. `retry_after_s` is the provider's wish, within bounds."""

    def __init__(self, code: str, detail: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


class Unknown(SendError):
    """Ask first: the provider may or may not have accepted (read time-out, 5xx, unreadable answer).

    `accepted` are the provider's names of parts that it did take of a text, of which a later part is in doubt or was
    refused. Their receipts say nothing of the whole.
    """

    def __init__(self, code: str, detail: str = "", *, accepted: tuple[str, ...] = ()) -> None:
        super().__init__(code, detail)
        self.accepted = accepted


class Misconfigured(SendError):
    """Our fault (credentials, sender, balance): stop this provider and tell the operator."""


async def outcome(send: Callable[[Outbound], Awaitable[Accepted]], message: Outbound) -> Accepted | SendError:
    """What became of a send, the error as a value."""
    try:
        return await send(message)
    except SendError as error:
        return error


class BadCallback(Exception):
    """A callback that is not the provider's, or not readable. It changes nothing."""


class Sender(Protocol):
    """A way to send texts, many at a time from one event loop. One request may name up to `together` telephones."""

    name: str
    together: int

    async def send(self, message: Outbound) -> Accepted:
        """Send, or raise a `SendError`."""

    async def send_all(self, messages: Sequence[Outbound]) -> list[Accepted | SendError]:
        """Send one and the same text to at most `together` telephones in one request. Nothing is raised."""

    async def close(self) -> None:
        """Give the connections back."""

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        """Look an unknown outcome up in the provider's own list. Safe to call from several threads.

        Returns None when the provider certainly has no such message. Raises `Unknown` when it cannot tell
        (no such question exists at this provider, or the question itself failed).
        """


class Reporter(Protocol):
    """Reads a provider's receipts and inbound texts, after checking that they are the provider's."""

    name: str

    def receipt(self, request: CallbackRequest) -> Receipt:
        """Raises `BadCallback`."""

    def inbound(self, request: CallbackRequest) -> Inbound:
        """Raises `BadCallback`."""


class Conversation(Protocol):
    """Reads a provider's USSD callback and writes its answer."""

    name: str

    def turn(self, request: CallbackRequest) -> Turn:
        """Raises `BadCallback`."""

    def answer(self, screen: Screen, turn: Turn) -> tuple[str, Mapping[str, str]]:
        """The body and headers of the HTTP answer to `turn`."""


class Telephony(Protocol):
    """Reads a provider's callbacks of telephone calls, writes its documents, calls, and hands over recordings."""

    name: str

    def heard(self, request: CallbackRequest) -> Heard:
        """Raises `BadCallback`."""

    def answer(self, prompt: Prompt, onward: str) -> tuple[str, str]:
        """The document and its content type. What is awaited, and silence too, is reported to the address `onward`."""

    def refuse(self) -> tuple[str, str]:
        """The document that hangs up without taking the call, so that it costs the caller nothing."""

    def call(self, msisdn: str, address: str) -> Accepted:
        """Call a telephone; what it hears is asked for at `address`. Raises a `SendError`."""

    def fetch(self, recorded: Recorded) -> bytes:
        """The recording, from the provider's own host alone. Raises `Unavailable` (later) or `Rejected` (never)."""

    def delete(self, recorded: Recorded) -> None:
        """Take it away from the provider, or find it gone. Raises `Unavailable`, or `Rejected` where it cannot be."""


@dataclass(frozen=True)
class CallbackRequest:
    """An HTTP callback, free of any web framework.

    `path` is the raw path with its query as it came over the wire, before any unescaping: a signature is made
    over that. `token` is the last part of the path where the route carries one (secret or message token).
    `form` holds each key's values in order; `body` is what came that is no form (JSON).
    """

    path: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, tuple[str, ...]] = field(repr=False)
    token: str = field(repr=False, default="")
    body: bytes = field(repr=False, default=b"")

    def one(self, key: str, default: str | None = None) -> str:
        """The single value of `key`. Raises `BadCallback` when it is absent (and no default) or repeated."""
        values = self.form.get(key, ())
        if len(values) == 1:
            return values[0]
        if not values and default is not None:
            return default
        raise BadCallback(f"field {key} must come exactly once")
