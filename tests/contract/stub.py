"""Stub: a provider's server in a thread, which answers real HTTP, badly if told to."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

JSON = "application/json"
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Reply:
    """A complete answer. `body` is bytes, text, or something to be written as JSON."""

    status: int
    body: object
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    def wire(self) -> bytes:
        text = self.body if isinstance(self.body, str | bytes) else json.dumps(self.body)
        body = text if isinstance(text, bytes) else text.encode()
        lines = [f"HTTP/1.1 {self.status} -", f"Content-Type: {self.content_type}",
                 f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Seen:
    """What arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    headers: dict[str, str]
    client: tuple[str, int]


Act = Callable[["_Handler"], None]


def answers(reply: Reply) -> Act:
    return lambda handler: handler.write(reply.wire())


def drips(reply: Reply, at_once: int = 0) -> Act:
    """One byte at a time, after the first `at_once` bytes: no single wait is long, the whole is."""
    def act(handler: _Handler) -> None:
        wire = reply.wire()
        handler.write(wire[:at_once])
        for byte in wire[at_once:]:
            if handler.server.released.wait(0.02):
                return
            handler.write(bytes([byte]))
    return act


def sends(raw: bytes) -> Act:
    """These bytes, and the end of the connection."""
    def act(handler: _Handler) -> None:
        handler.write(raw)
        handler.close_connection = True
    return act


def stalls(handler: _Handler) -> None:
    handler.server.released.wait(PATIENCE_S)
    handler.close_connection = True


def resets(handler: _Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


class Stub:
    """Does one act for each request; the last one again and again."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self._acts: list[Act] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stub = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def does(self, *acts: Act) -> Stub:
        self._acts = list(acts)
        return self

    def took(self, seen: Seen) -> Act:
        with self._lock:
            self.seen.append(seen)
            return self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]

    def __enter__(self) -> Stub:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.released.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    stub: Stub

    def __init__(self, *arguments: object) -> None:
        self.released = threading.Event()
        super().__init__(*arguments)

    def handle_error(self, *_: object) -> None:
        """The client going away in the middle is what many of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S
    server: _Server

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.stub.took(Seen(
            self.command, address.path, parse_qs(address.query), parse_qs(body, keep_blank_values=True),
            dict(self.headers), self.client_address))(self)

    def do_GET(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def write(self, wire: bytes) -> None:
        self.wfile.write(wire)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """No line on the tests' output."""


@contextmanager
def nobody_listens() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def nobody_accepts() -> Iterator[str]:
    """An address where connections are neither taken nor refused: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()
