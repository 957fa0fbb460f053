"""Line: one connection to an SMSC, and SMPP's PDUs on it.

smpplib writes and reads the bodies of PDUs here, and nothing else of it is used. Its `Client` opens TLS without a
server's name, so that no certificate can be checked; a time-out in the middle of a PDU loses what had come of it; it
believes any length, blocks while it writes, and logs each PDU with its number and text.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from smpplib import smpp
from smpplib.client import SimpleSequenceGenerator
from smpplib.command import DeliverSM

from channels.base import SendError, Unavailable
from channels.sms.smpp.address import Address
from channels.sms.smpp.delivery import MESSAGE_PAYLOAD, Delivery

# SMPP 3.4 section 5.1.2.1.
GENERIC_NACK = 0x80000000
SUBMIT_SM_RESP = 0x80000004
DELIVER_SM = 0x00000005
UNBIND, UNBIND_RESP = 0x00000006, 0x80000006
BIND_TRANSCEIVER_RESP = 0x80000009
ENQUIRE_LINK, ENQUIRE_LINK_RESP = 0x00000015, 0x80000015
ALERT_NOTIFICATION = 0x00000102
RESPONSE = 0x80000000

HEADER = struct.Struct(">LLLL")
# A message_payload of 64 Ki octets, and what stands around it.
LONGEST_PDU = 70_000
CHUNK = 1 << 16
MOST_CHUNKS = 16


class LineBroke(Exception):
    """The connection is over. What was not answered on it may have been taken."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unreadable(Exception):
    """The body of a PDU is not what its header says."""


@dataclass(frozen=True)
class Server:
    """Where an SMSC is. `name` is that of its certificate; without `tls` the line is in the clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    name: str = ""


@dataclass(frozen=True)
class Pdu:
    command: int
    status: int
    sequence: int
    body: bytes = field(repr=False)

    @property
    def message_id(self) -> str:
        return self.body.split(b"\0")[0].decode("latin-1").strip()


class Line:
    """A connection that never blocks. For one thread."""

    def __init__(self, server: Server, number: int, timeout_s: float) -> None:
        """Connect. Raises `Unavailable`: nothing was sent."""
        self.number = number
        self.ended = False
        self._socket = _connected(server, timeout_s)
        self._numbers = SimpleSequenceGenerator()
        self._read = bytearray()
        self._ready: list[Pdu] = []
        self._unwritten = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def interest(self) -> int:
        """What a selector is to watch for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unwritten else 0)

    @property
    def has_more(self) -> bool:
        """Whether there is something to read, or an end to see, that the operating system does not tell of."""
        unread = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return unread or self.ended or bool(self._ready)

    def next_sequence(self) -> int:
        return int(self._numbers.next_sequence())

    def put(self, command: str, sequence: int, **fields: Any) -> None:
        """Write a PDU as soon as there is room."""
        pdu = smpp.make_pdu(command, client=self._numbers, sequence=sequence, **fields)
        pdu.sequence = sequence
        self._unwritten += pdu.generate()

    def flush(self) -> None:
        """Write what there is room for. On a broken line nothing: what came before it broke is still to be read."""
        try:
            while self._unwritten and not self.ended:
                del self._unwritten[:self._socket.send(self._unwritten)]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self.ended = True

    def read(self) -> list[Pdu]:
        """The PDUs that have come whole; `ended` when they are the last. Raises `LineBroke` for what is no SMPP."""
        try:
            for _ in range(MOST_CHUNKS):
                chunk = self._socket.recv(CHUNK)
                self._read += chunk
                if not chunk:
                    self.ended = True
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.ended = True
        pdus, self._ready = [*self._ready, *self._whole()], []
        return pdus

    def wait(self, command: int, timeout_s: float) -> Pdu:
        """The answer to what was just put, of kind `command`; what came before it is passed over, what comes after it
        is read later. Raises `LineBroke`."""
        ends = monotonic() + timeout_s
        with selectors.DefaultSelector() as ready:
            ready.register(self, selectors.EVENT_READ)
            while (left_s := ends - monotonic()) > 0:
                self.flush()
                ready.modify(self, self.interest)
                ready.select(0 if self.has_more else left_s)
                pdus = self.read()
                for at, pdu in enumerate(pdus):
                    if pdu.command in (command, GENERIC_NACK):
                        self._ready = pdus[at + 1:]
                        return pdu
                if self.ended:
                    raise LineBroke("line_broke")
        raise LineBroke("no_answer")

    def close(self) -> None:
        self._socket.close()

    def _whole(self) -> list[Pdu]:
        pdus: list[Pdu] = []
        at = 0
        while len(self._read) - at >= HEADER.size:
            length, command, status, sequence = HEADER.unpack_from(self._read, at)
            if not HEADER.size <= length <= LONGEST_PDU:
                if pdus:
                    # What made sense is heard first.
                    break
                raise LineBroke("not_smpp")
            if len(self._read) - at < length:
                break
            pdus.append(Pdu(command, status, sequence, bytes(self._read[at + HEADER.size:at + length])))
            at += length
        del self._read[:at]
        return pdus


def delivery(pdu: Pdu, line: int) -> Delivery:
    """A deliver_sm. Raises `Unreadable`."""
    read = _DeliverSM("deliver_sm", need_sequence=False)
    try:
        read.parse_params(pdu.body)
        octets = read.short_message or b""
        if read.data_coding is None or len(octets) != read.sm_length:
            raise ValueError
    except (struct.error, ValueError):
        raise Unreadable from None
    source = Address(read.source_addr_ton, read.source_addr_npi, read.source_addr.decode("latin-1").strip())
    destination = Address(read.dest_addr_ton, read.dest_addr_npi, read.destination_addr.decode("latin-1").strip())
    return Delivery(line, pdu.sequence, source, destination, read.esm_class, read.data_coding,
                    octets or read.options.get(MESSAGE_PAYLOAD, b""), read.options)


class _DeliverSM(DeliverSM):  # type: ignore[misc]
    """smpplib stops at an optional parameter that it does not expect in this PDU, cuts the last letter off one that the
    SMSC did not end with its NUL, and reads on from anywhere where a mandatory one has none."""

    def __init__(self, command: str, **fields: Any) -> None:
        super().__init__(command, **fields)
        self.options: dict[int, bytes] = {}

    def _parse_string(self, field: str, data: bytes, pos: int, length: int | None = None) -> tuple[bytes, int]:
        end = data.index(b"\0", pos)
        setattr(self, field, data[pos:end])
        return data, end + 1

    def parse_optional_params(self, data: bytes) -> None:
        while len(data) >= 4:
            tag, length = struct.unpack(">HH", data[:4])
            self.options[tag] = data[4:4 + length]
            data = data[4 + length:]


def _connected(server: Server, timeout_s: float) -> socket.socket:
    fault: SendError
    try:
        connection = socket.create_connection((server.host, server.port), timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if server.tls:
                connection = server.tls.wrap_socket(connection, server_hostname=server.name or server.host)
        except BaseException:
            connection.close()
            raise
        connection.setblocking(False)
    except socket.gaierror:
        fault = Unavailable("no_such_host")
    except ConnectionRefusedError:
        fault = Unavailable("refused")
    except ssl.SSLError:
        fault = Unavailable("tls")
    except TimeoutError:
        fault = Unavailable("connect_timeout")
    except OSError:
        fault = Unavailable("not_connected")
    else:
        return connection
    raise fault
