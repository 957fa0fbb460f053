"""The server: the wires on a loop, where a stalled request holds nobody up, and a Flask application behind them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aiohttp import web
from flask import Flask
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from channels.sandbox.loop import Closed, Loop

THREADS = 128
BACKLOG = 1024
# What is under way at the end is let go after so long; aiohttp takes none for ever.
LET_GO_S = 0.1
LONGEST_REQUEST = 1 << 24

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


class Server:
    """Serves between `start` and `stop`. Port 0 takes a free one; see `url`, which is known from the beginning.

    aiohttp and not the gateway's own server: here a request that breaks before its first byte drops the connection,
    as a provider's own failure would; thousands may stall at once; and a text costs half of what it does by way
    of Flask. What is no wire goes to the Flask application, each request in a thread. `loop` is the one that the
    wires live on, where there are any.
    """

    def __init__(
        self,
        app: Flask,
        host: str = "127.0.0.1",
        port: int = 0,
        wires: Iterable[web.AbstractRouteDef] = (),
        loop: Loop | None = None,
    ) -> None:
        self._app = app
        self._wires = wires
        self._socket = socket.create_server((host, port), backlog=BACKLOG)
        self._host, self._port = host, self._socket.getsockname()[1]
        self._given, self._loop = loop, loop
        self._runner: web.AppRunner | None = None
        self.url = f"http://{self._host}:{self._port}"

    def start(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "pages")
        self._loop = self._given or Loop()
        self._loop.run(self._serve())

    def stop(self) -> None:
        """Requests under way are dropped."""
        if self._loop is not None and self._runner is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            with suppress(Closed):
                self._loop.run(self._runner.cleanup())
            if self._given is None:
                self._loop.close()
        self._socket.close()

    async def _serve(self) -> None:
        application = web.Application(client_max_size=LONGEST_REQUEST, middlewares=[self._guard])
        application.add_routes([*self._wires, web.route("*", "/{path:.*}", self._page)])
        # An access line holds numbers and secrets in its path, and a request that cannot be parsed is told whole.
        quiet = logging.Logger("quiet", logging.CRITICAL)
        self._runner = web.AppRunner(application, access_log=None, logger=quiet, shutdown_timeout=LET_GO_S)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A handler that breaks is named by the kind of its error: the words of it may hold a number."""
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception as error:
            log.error("a request broke: %s", type(error).__name__)
            return web.Response(status=500)

    async def _page(self, request: web.Request) -> web.Response:
        body, loop = await request.read(), asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._threads, self._answer, request, body)
        except Exception as error:
            log.debug("a request was dropped: %s", type(error).__name__)
            return dropped(request)
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        return web.Response(status=answer.status_code, headers=headers, body=answer.get_data())

    def _answer(self, request: web.Request, body: bytes) -> Response:
        environ = EnvironBuilder(
            request.raw_path,
            f"http://{self._host}:{self._port}",
            method=request.method,
            headers=list(request.headers.items()),
            data=body,
            environ_base={"REMOTE_ADDR": request.remote},
        ).get_environ()
        return Response.from_app(self._app, environ, buffered=True)


def dropped(request: web.Request) -> web.Response:
    """The end of a connection without an answer; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
