"""Stub: both providers in one process, which accept every text after 50 ms; `python -m tests.bench.stub PORT`.

Written by hand: any library's server takes more of the processor than the worker that is measured beside it.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
from urllib.parse import parse_qs

import uvloop

ANSWERS_AFTER_S = 0.05
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


def twilio(form: dict[str, list[str]]) -> object:
    """https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource"""
    return {"sid": f"SM{secrets.token_hex(16)}", "status": "queued", "to": form["To"][0], "num_segments": "2",
            "error_code": None, "error_message": None}


def africastalking(form: dict[str, list[str]]) -> object:
    """https://developers.africastalking.com/docs/sms/sending/bulk"""
    return {"SMSMessageData": {"Message": "Sent", "Recipients": [
        {"statusCode": 101, "number": number, "status": "Success", "cost": "MAD 0.0000",
         "messageId": f"ATXid_{secrets.token_hex(16)}"} for number in form["to"][0].split(",")]}}


class Provider(asyncio.Protocol):
    """One kept connection: request after request, each answered after its time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._came = transport, b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not found or len(body) < int(length[1] if length else 0):
            return
        self._came = b""
        form = parse_qs(body.decode())
        answer = json.dumps((africastalking if b"/messaging" in head[:60] else twilio)(form)).encode()
        wire = (b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer))
        asyncio.get_running_loop().call_later(ANSWERS_AFTER_S, self._transport.write, wire)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
