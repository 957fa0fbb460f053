"""The desk: what befalls a request to send, whichever provider it was made to."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

from channels.sandbox.behaviour import LONGEST_S, Break, Fate
from channels.sandbox.operator import Operator
from channels.sandbox.server import dropped

GARBAGE = (
    ("text/html", "<html><head><title>Created</title></head><body>The page is being prepared.</body></html>"),
    ("application/json", '{"status": "queu'),
)
# With no time to linger, a socket that is closed sends RST.
NO_LINGER = struct.pack("ii", 1, 0)
LOOK_FOR_CLIENT_S = 1.0

Failing = Callable[[int], web.Response]


async def attend(
    operator: Operator,
    provider: str,
    request: web.Request,
    accept: Callable[[], Awaitable[web.Response]],
    failure: Failing,
) -> web.StreamResponse:
    """Answer a checked request, or fail it before or after `accept`, as the provider was told to behave.

    `failure` writes the provider's own answer for status 429 or 500.
    """
    fate = operator.temper(provider).fate()
    if fate.delay_s:
        await asyncio.sleep(fate.delay_s)
    if fate.before:
        return await _broken(fate.before, fate, request, failure)
    if fate.throttle:
        answer = failure(429)
        answer.headers["Retry-After"] = _retry_after(fate, operator.clock())
        return answer
    answer = await accept()
    if fate.after:
        return await _broken(fate.after, fate, request, failure)
    if fate.charset:
        answer.charset = "utf-8"
    return await _dripped(request, answer, fate.drip_s) if fate.drip_s else answer


async def _broken(how: Break, fate: Fate, request: web.Request, failure: Failing) -> web.Response:
    match how:
        case "error":
            return failure(500)
        case "garbage":
            kind, text = GARBAGE[fate.side]
            return web.Response(text=text, content_type=kind, status=201)
        case "stall":
            await asyncio.sleep(fate.stall_s)
        case "half_open":
            await _while_the_client_waits(request)
        case "reset":
            _tear(request)
    return dropped(request)


def _retry_after(fate: Fate, now: datetime) -> str:
    """Seconds or a date (RFC 9110, section 10.2.3), or what is neither."""
    if not fate.odd_retry_after:
        return f"{fate.retry_after_s:.0f}"
    until = now + timedelta(seconds=fate.retry_after_s)
    return format_datetime(until, usegmt=True) if fate.side else "soon"


def in_json(body: object, status: int = 200) -> web.Response:
    """Without a charset: Africa's Talking's SDK reads no JSON that has one."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _tear(request: web.Request) -> None:
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        transport.abort()


async def _while_the_client_waits(request: web.Request) -> None:
    for _ in range(int(LONGEST_S / LOOK_FOR_CLIENT_S)):
        if request.transport is None:
            return
        await asyncio.sleep(LOOK_FOR_CLIENT_S)


async def _dripped(request: web.Request, answer: web.Response, drip_s: float) -> web.StreamResponse:
    """The same answer, a byte at a time."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    slow = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
    slow.content_length = len(body)
    await slow.prepare(request)
    for place in range(len(body)):
        await asyncio.sleep(drip_s)
        await slow.write(body[place : place + 1])
    return slow
