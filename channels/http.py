"""HTTP to a provider: one client, one deadline for a whole call, one reading of what broke on the way."""

from __future__ import annotations

import http.client
import io
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from socket import socket
from time import monotonic
from typing import Any

from requests import PreparedRequest, ReadTimeout, Request
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from channels.base import Misconfigured, Rejected, SendError, Throttled, Unavailable, Unknown

DEADLINE_S = 10.0
CONNECT_S = 3.05
THREADS = 32
LONGEST_ANSWER = 1 << 20
LONGEST_WAIT_S = 3600.0

# What reading an answer of unexpected shape may raise.
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)

# Its warnings quote whole addresses, and a listing at a provider has the person's number in the query.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer, of any status. `headers` ignores case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Http:
    """The kept connections to one provider, for up to `THREADS` threads at once.

    `deadline_s` bounds a call from the opening of the connection to the last byte of the answer, however
    slowly the bytes come; looking up the name and the TLS handshake (within `CONNECT_S`) come on top.
    requests' adapter is used without its Session: no redirects, cookies, proxies or netrc, nothing shared.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._adapter = HTTPAdapter(pool_maxsize=THREADS)
        self._adapter.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        self._timeout = Timeout(total=deadline_s, connect=min(CONNECT_S, deadline_s))

    def call(self, method: str, url: str, *, params: Mapping[str, Any] | None = None,
             data: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
             auth: tuple[str, str] | None = None, longest: int = LONGEST_ANSWER) -> Answer:
        """Ask, and return the whole answer, whatever its status, cut off after `longest` bytes.

        Raises `Unavailable` when no connection was made, `Unknown` when one was made and then failed,
        `Rejected` when the text cannot be encoded, `Misconfigured` when the address is not one.
        """
        fault: SendError
        # Raised after the handlers, so that the originals (address, number, text) are not chained to it.
        try:
            request = Request(method, url, params=params, data=data, headers=headers, auth=auth).prepare()
        except UnicodeError:
            fault = Rejected("unencodable")
        except ValueError:
            fault = Misconfigured("address")
        else:
            try:
                return self._exchange(request, longest)
            except _NotConnected as error:
                fault = Unavailable(error.code)
            except (ReadTimeout, ReadTimeoutError):
                fault = Unknown("read_timeout")
            except (OSError, ValueError, HTTPError, http.client.HTTPException):
                fault = Unknown("line_broke")
        raise fault

    def _exchange(self, request: PreparedRequest, longest: int) -> Answer:
        # requests hands urllib3's own type on, though its signature names only types without a total.
        timeout: Any = self._timeout
        with self._adapter.send(request, stream=True, timeout=timeout) as response:
            body = response.raw.read(longest, decode_content=True)
            return Answer(response.status_code, response.headers, body)


def refusal(status: int) -> type[SendError]:
    """What an HTTP status other than 2xx means where the provider says no more (RFC 9110 section 15).

    A client error without the provider's own code is a wrong address, key or proxy: no message is burned.
    """
    if status >= 500 or status == 408:
        return Unknown
    return Throttled if status == 429 else Misconfigured


def refused(answer: Answer) -> SendError:
    """The error for an answer other than 2xx, of a provider that says no more than its status."""
    kind, code = refusal(answer.status), f"http_{answer.status}"
    return Throttled(code, retry_after_s=retry_after_s(answer)) if kind is Throttled else kind(code)


def retry_after_s(answer: Answer) -> float:
    """`Retry-After` (RFC 9110 section 10.2.3) in seconds, from 1 to `LONGEST_WAIT_S`; 1 if unreadable.

    A date is measured from the answer's own `Date`, so our clock does not matter.
    """
    wish = answer.headers.get("Retry-After", "")
    try:
        seconds = float(wish) if re.fullmatch(r"[0-9]{1,20}", wish) else (
            parsedate_to_datetime(wish) - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
    except UNREADABLE:
        seconds = 0.0
    return min(max(seconds, 1.0), LONGEST_WAIT_S)


class _NotConnected(Exception):
    """No connection was made, so nothing was sent. Neither requests nor urllib3 translates it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _connected(connect: Callable[[], None]) -> None:
    try:
        connect()
    except NameResolutionError:
        code = "no_such_host"
    except NewConnectionError:
        code = "refused"
    except (ssl.SSLError, SSLError):
        code = "tls"
    except (ConnectTimeoutError, TimeoutError):
        code = "connect_timeout"
    except (OSError, HTTPError):
        code = "not_connected"
    else:
        return
    raise _NotConnected(code)


class _UntilDeadline(io.RawIOBase):
    """Reads a socket until a moment, not for a while at each byte: one byte a second ends too."""

    def __init__(self, sock: socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._ends = monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends - monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    # urllib3 sets the socket's time-out to what is left of the call just before it makes the response.
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(sock, self.fp.detach()))


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        _connected(super().connect)


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        _connected(super().connect)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
