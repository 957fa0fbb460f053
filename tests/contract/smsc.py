"""Smsc: a loopback SMSC (smpp34's server) in a thread, behind a cable that can be cut, garbled and encrypted."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

import smpp34

from channels.base import Inbound, Receipt
from channels.sms.smpp import SmppSms
from channels.sms.smpp.link import Pace

PATIENCE_S = 10.0
SUBMIT_SM_RESP, BIND_RESP, ENQUIRE_LINK_RESP, DELIVER_SM_RESP = 0x80000004, 0x80000009, 0x80000015, 0x80000005
QUICK = Pace(connect_s=1.0, answer_s=1.0, enquire_s=30.0, again_s=0.02, longest_again_s=0.1)

Act = Callable[["Smsc", smpp34.SubmitSmEvent], None]
Frame = bytes


def accepts(*names: str) -> Act:
    """Each name in turn; without any, numbers of its own."""
    left = iter(names)

    def act(smsc: Smsc, event: smpp34.SubmitSmEvent) -> None:
        event.accept(next(left) if names else f"{next(smsc.numbers):08X}")
    return act


def refuses(status: int) -> Act:
    return lambda smsc, event: event.reject(status)


def after(seconds: float, act: Act) -> Act:
    return lambda smsc, event: smsc.later(seconds, act, event)


def keeps_silent(smsc: Smsc, event: smpp34.SubmitSmEvent) -> None:
    """Takes it and never says so. An event that is dropped would be refused."""
    smsc.kept.append(event)


def cuts(smsc: Smsc, event: smpp34.SubmitSmEvent) -> None:
    smsc.kept.append(event)
    smsc.cut()


class Smsc:
    """Does one act for each submit; the last one again and again.

    `down` may change or drop (None) each PDU on its way to us.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.seen: list[smpp34.SubmitSmEvent] = []
        self.kept: list[smpp34.SubmitSmEvent] = []
        self.binds = 0
        self.unbinds = 0
        self.down: Callable[[Frame], Frame | None] = lambda frame: frame
        self.up: list[Frame] = []
        self.numbers = itertools.count(0x1A2B3C)
        self._acts: list[Act] = [accepts()]
        self._esme: smpp34.Esme | None = None
        self._tls = tls
        self._cables: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._inner = free_port()
        self.port = port or free_port()
        self.url = f"{'smpps' if tls else 'smpp'}://127.0.0.1:{self.port}"

    def does(self, *acts: Act) -> Smsc:
        self._acts = list(acts)
        return self

    def later(self, seconds: float, act: Act, event: smpp34.SubmitSmEvent) -> None:
        self._loop.call_later(seconds, act, self, event)

    def deliver(self, octets: bytes, *, source: str = "212612000417", destination: str = "RSU", ton: int = 1,
                **fields: object) -> int:
        """Hand something over; the status it was answered with."""
        return self.delivering(octets, source=source, destination=destination, ton=ton, **fields).result(PATIENCE_S)

    def delivering(self, octets: bytes, *, source: str = "212612000417", destination: str = "RSU", ton: int = 1,
                   **fields: object):
        async def hand_over() -> int:
            esme = self._esme
            answer = await esme.deliver_sm(destination, octets, source_addr=source, source_addr_ton=ton,
                                           source_addr_npi=1, **fields)
            return answer.command_status
        return asyncio.run_coroutine_threadsafe(hand_over(), self._loop)

    def cut(self) -> None:
        """The line breaks, without a word."""
        self._loop.call_soon_threadsafe(self._cut)

    def garble(self, octets: bytes) -> None:
        """Octets that nobody sent come out of the cable."""
        self._loop.call_soon_threadsafe(lambda: [cable.write(octets) for cable in self._cables])

    def __enter__(self) -> Smsc:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _open(self) -> None:
        self._server = smpp34.Server("127.0.0.1", self._inner, inbound_capacity=10_000)
        await self._server.start()
        self._serving = asyncio.create_task(self._serve())
        self._front = await asyncio.start_server(self._join, "127.0.0.1", self.port, ssl=self._tls)

    async def _close(self) -> None:
        self._front.close()
        self._cut()
        self._serving.cancel()
        with suppress(asyncio.CancelledError):
            await self._serving
        self._esme = None
        await self._server.stop()
        joins = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in joins:
            task.cancel()
        await asyncio.gather(*joins, return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            event = await self._server.next()
            if isinstance(event, smpp34.Esme):
                self._esme = event
                self.binds += 1
            elif isinstance(event, smpp34.SubmitSmEvent):
                self.seen.append(event)
                act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
                act(self, event)
            elif isinstance(event, smpp34.Unbound):
                self.unbinds += 1

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner)
        self._cables.append(writer)
        up = asyncio.create_task(self._carry(reader, inner_writer, self._noted))
        down = asyncio.create_task(self._carry(inner_reader, writer, lambda frame: self.down(frame)))
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            self._cables.remove(writer)
            writer.close()
            inner_writer.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter,
                     change: Callable[[Frame], Frame | None]) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await source.readexactly(4)
                frame = change(head + await source.readexactly(int.from_bytes(head, "big") - 4))
                if frame:
                    sink.write(frame)
                    await sink.drain()

    def _noted(self, frame: Frame) -> Frame:
        self.up.append(frame)
        return frame

    def _cut(self) -> None:
        for cable in self._cables:
            cable.transport.abort()


def command_of(frame: Frame) -> int:
    return int.from_bytes(frame[4:8], "big")


def with_status(frame: Frame, status: int) -> Frame:
    return frame[:8] + status.to_bytes(4, "big") + frame[12:]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


class Gateway:
    """What the other side of the wall does with what it is told: keeps it, or fails while `broken`."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.texts: list[Inbound] = []
        self.asked: list[Inbound] = []
        self.broken = False

    def on_receipts(self, receipts) -> None:
        if self.broken:
            raise OSError("the database is away")
        self.receipts += receipts

    def on_inbound(self, text: Inbound) -> None:
        self.asked.append(text)
        if self.broken:
            raise OSError("the database is away")
        self.texts.append(text)


ACCOUNT = {"system_id": "rsu", "password": "a-word", "sender": "RSU"}


@contextmanager
def bound(smsc: Smsc, gateway: Gateway | None = None, *, pace: Pace = QUICK, window: int = 10, deadline_s: float = 5.0,
          **account: str) -> Iterator[SmppSms]:
    """A channel that is bound to the SMSC."""
    channel = SmppSms(**{**ACCOUNT, "base_url": smsc.url, **account}, window=window, deadline_s=deadline_s, pace=pace)
    gateway = gateway or Gateway()
    channel.start(gateway.on_receipts, gateway.on_inbound)
    try:
        eventually(lambda: channel.bound)
        eventually(lambda: smsc.binds > 0)
        yield channel
    finally:
        channel.stop(1.0)


def eventually(holds: Callable[[], object]) -> None:
    """Returns once it holds."""
    ends = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < ends, "it never came to hold"
        sleep(0.005)
