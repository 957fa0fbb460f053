"""The server: one thread a request, so that a stalled request holds nobody else up."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LOOK_FOR_END_S = 0.05


class Server:
    """Serves from its own thread between `start` and `stop`. Port 0 takes a free one; see `url`.

    Werkzeug and not the gateway's own server: only here does a request that breaks before its first byte
    drop the connection, as a provider's own failure would.
    """

    def __init__(self, app: Flask, host: str = "127.0.0.1", port: int = 0) -> None:
        self._http = make_server(host, port, app, threaded=True, request_handler=_Quiet)
        self._thread = Thread(target=self._http.serve_forever, args=(LOOK_FOR_END_S,), daemon=True)
        self.url = f"http://{host}:{self._http.port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Requests under way are left to their threads."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        """Without an answer there is no header that says so: HTTP/1.1 would keep the connection."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Silent: an access line holds numbers and secrets in its path."""
