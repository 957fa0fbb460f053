"""Provider: SMS through an operator's SMSC: SMPP's words on our side of the wall."""

from __future__ import annotations

import asyncio
import ssl
import threading
import zlib
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from urllib.parse import urlsplit

from channels.base import (
    Accepted,
    BadCallback,
    CallbackRequest,
    Inbound,
    Misconfigured,
    Outbound,
    Receipt,
    Rejected,
    SendError,
    Throttled,
    Unavailable,
    Unknown,
    outcome,
)
from channels.sms.smpp import address
from channels.sms.smpp.address import MSISDN
from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.ear import Ear, OnInbound, OnReceipts
from channels.sms.smpp.encoding import Part, encode
from channels.sms.smpp.line import Server
from channels.sms.smpp.link import Account, Link, Pace
from channels.sms.smpp.receipt import spellings

SCHEMES = {"smpp": 2775, "smpps": 3550}
# SMPP 3.4 sections 5.2.1 to 5.2.3, each without its NUL. smpplib would cut a longer one off.
LONGEST = {"system_id": 15, "password": 8, "system_type": 12}

# How long a text waits for a place in the window, and its later parts for the SMSC to take them after all.
DEADLINE_S = 10.0
PATIENCE_S = 0.5
LONGEST_VALIDITY_S = 7 * 86_400
RECEIPT_EITHER_WAY = 0x01


class SmppSms:
    """One account at an SMSC, bound as transceiver. `sender` is a name, a short code, or a telephone with its `+`.

    `base_url` is `smpps://host:port`, or `smpp://` where the line itself is private (a tunnel to the operator). The
    certificate is checked against `ca_file` (or the system's authorities) and `server_name` (or the host).
    `window` is the contract's. One bind is one process: whoever starts it holds the lease.

    user_message_reference (0x0204) is left out: its 16 bits come round within minutes of a campaign while receipts take
    hours, and an SMSC that does not know it refuses the text (0xC1). A receipt is matched by the SMSC's own name,
    and one whose send had no answer by its telephone.
    """

    name = "smpp"
    together = 1

    def __init__(self, system_id: str, password: str, sender: str, base_url: str, system_type: str = "",
                 window: int | str = 10, ca_file: str = "", server_name: str = "", *,
                 deadline_s: float = DEADLINE_S, pace: Pace | None = None) -> None:
        """Opens no connection. Raises `ValueError` for an account that cannot be one."""
        for name, value in (("system_id", system_id), ("password", password), ("system_type", system_type)):
            if not value.isascii() or len(value) > LONGEST[name]:
                raise ValueError(f"{name} has at most {LONGEST[name]} letters, of ASCII")
        self._sender = address.sender(sender)
        self._server = _server(base_url, ca_file, server_name)
        self._account = Account(system_id, password, system_type, max(int(window), 1))
        self._deadline_s = deadline_s
        self._pace = pace or Pace()
        self._starting = threading.Lock()
        self._link: Link | None = None
        self._ear: Ear | None = None

    def start(self, on_receipts: OnReceipts, on_inbound: OnInbound) -> None:
        """Bind, and keep bound, in a thread of its own; returns at once.

        The handlers are called in another thread, `on_receipts` with all that have come meanwhile. What they are
        told is acknowledged when they return and comes again when they raise, so they must have committed by then,
        and take a second copy for none: the same `provider_id` and status, or the same `Inbound.provider_id`.
        Raises `RuntimeError` the second time, also after a stop: the SMSC would refuse the second bind, or end the
        first.
        """
        with self._starting:
            if self._link:
                raise RuntimeError("started already")
            self._ear = Ear(self.name, self._answer, on_receipts, on_inbound)
            self._link = Link(self._server, self._account, self._pace, self._ear.hear, self._ear.idle)
        self._ear.start()
        self._link.start()

    def stop(self, limit_s: float = DEADLINE_S) -> None:
        """Submit nothing more, hear the answers to what was, and unbind, within `limit_s` seconds or a little more.

        Blocks: from a loop, in a thread. What was not answered by then is `Unknown` to its sender.
        """
        if self._link and self._ear:
            self._link.stop(limit_s)
            self._ear.stop(limit_s)

    async def close(self) -> None:
        """Stop, beside the loop. Nothing where it was never started."""
        await asyncio.to_thread(self.stop)

    @property
    def bound(self) -> bool:
        return self._link is not None and self._link.bound

    def longest_s(self, parts: int) -> float:
        """How long a send of so many parts may take."""
        return self._deadline_s + parts * self._pace.answer_s

    async def send_all(self, messages: Sequence[Outbound]) -> list[Accepted | SendError]:
        """One by one: submit_multi asks for no receipt of each."""
        return [await outcome(self.send, message) for message in messages]

    async def send(self, message: Outbound) -> Accepted:
        """SMPP 3.4 section 4.4. Raises a `SendError`. From any loop; takes at most `deadline_s`, and `answer_s` a part.

        The parts of a long text go one after the other, so that a refusal of the first leaves nothing behind. What
        is temporarily refused of a text begun is offered again until `deadline_s`: half a text on a telephone is
        worst. In the end a text of which a part was taken is `Rejected` when a later part was, for it can never be
        read whole, and else `Unknown` with the names of what was taken: it must not be sent again blindly. Where it is
        sent again all the same, its parts have the same reference, and the handset can join them with those it has.
        """
        if not MSISDN.fullmatch(message.msisdn):
            raise Rejected("not_a_number")
        parts = encode(message.body, zlib.crc32(message.token.encode()) & 0xFFFF)
        until = monotonic() + self._deadline_s
        names = [await self._submit(message, parts[0], until)]
        for part in parts[1:]:
            names.append(await self._go_on(message, part, until, tuple(names)))
        return Accepted(names[0], parts=len(parts), more=tuple(names[1:]))

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        """Always raises `Unknown`: query_sm asks by the SMSC's own name, and the lost answer was to tell it."""
        raise Unknown("no_query")

    def receipt(self, request: CallbackRequest) -> Receipt:
        """Always raises `BadCallback`: what an SMSC says comes over the bind."""
        raise BadCallback("an SMSC calls nobody back")

    def inbound(self, request: CallbackRequest) -> Inbound:
        """Always raises `BadCallback`, for the same reason."""
        raise BadCallback("an SMSC calls nobody back")

    async def _submit(self, message: Outbound, part: Part, until: float, *, first: bool = False) -> str:
        if not self._link:
            raise Unavailable("not_started")
        fields = {
            "source_addr_ton": self._sender.ton, "source_addr_npi": self._sender.npi,
            "source_addr": self._sender.digits,
            "dest_addr_ton": address.INTERNATIONAL, "dest_addr_npi": address.E164,
            "destination_addr": message.msisdn.removeprefix("+"),
            "esm_class": part.esm_class, "data_coding": part.data_coding, "short_message": part.octets,
            "registered_delivery": RECEIPT_EITHER_WAY, "validity_period": _relative(message.valid_for_s)}
        return spellings(await asyncio.wrap_future(self._link.submit(fields, until, first=first)))[0]

    async def _go_on(self, message: Outbound, part: Part, until: float, accepted: tuple[str, ...]) -> str:
        """Submit a later part, before the texts that are not begun."""
        while True:
            try:
                return await self._submit(message, part, until, first=True)
            except (Throttled, Unavailable) as refusal:
                fault: SendError = refusal
            except (Misconfigured, Unknown) as error:
                raise Unknown(error.code, error.detail, accepted=accepted) from None
            if monotonic() + PATIENCE_S > until:
                raise Unknown(fault.code, fault.detail, accepted=accepted)
            await asyncio.sleep(PATIENCE_S)

    def _answer(self, delivery: Delivery, status: int) -> None:
        if self._link:
            self._link.answer(delivery, status)


def _relative(valid_for_s: int) -> str:
    """SMPP 3.4 section 7.1.1: a time counted from the SMSC's own clock, so that ours does not matter."""
    minutes, seconds = divmod(min(max(valid_for_s, 1), LONGEST_VALIDITY_S), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"


def _server(base_url: str, ca_file: str, server_name: str) -> Server:
    url = urlsplit(base_url)
    if url.scheme not in SCHEMES or not url.hostname or url.path.strip("/") or url.query or url.username:
        raise ValueError("base_url is smpps://host:port, or smpp://host:port")
    tls = None
    if url.scheme == "smpps":
        try:
            tls = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise ValueError("ca_file holds no certificates that can be read") from error
    return Server(url.hostname, url.port or SCHEMES[url.scheme], tls, server_name)
