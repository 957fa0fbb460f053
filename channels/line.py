"""Line: the kept connections to one provider on which texts go out, many in flight at once.

aiohttp under the same rules as `channels.http`, by which everything else is asked: one deadline for a whole call, no
redirects, cookies, proxies or netrc, and one reading of what broke on the way. It is used from one event loop, that of
the process that sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from channels.base import Misconfigured, Rejected, SendError, Unavailable, Unknown
from channels.http import CONNECT_S, DEADLINE_S, LONGEST_ANSWER, Answer

# Sends in flight to one provider. At 50 ms an answer that is five thousand a second, more than a process can make.
WINDOW = 256
# Shorter than any server's own patience: a connection that the other side is just closing loses a text's answer.
KEPT_S = 15.0

# A form written by aiohttp itself costs a third of the whole send.
WRITTEN = {"Content-Type": "application/x-www-form-urlencoded"}

# Its warnings quote addresses, and a text's token stands in some.
logging.getLogger("aiohttp").setLevel(logging.CRITICAL)


class Line:
    """Opened by its first call, and again by the first in another event loop. `deadline_s` as in `channels.http`."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        # Where connecting used up the whole time, nobody could tell that it was connecting that took it.
        connect_s = min(CONNECT_S, 0.9 * deadline_s)
        self._timeout = aiohttp.ClientTimeout(total=deadline_s, connect=connect_s, sock_connect=connect_s)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, url: str, form: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        """Post a form, and return the whole answer, whatever its status.

        Raises `Unavailable` when no connection was made, `Unknown` when one was made and then failed, `Rejected` when
        the text cannot be encoded, `Misconfigured` when the address is not one.
        """
        fault: SendError
        # Raised after the handlers, so that the originals (address, number, text) are not chained to it.
        try:
            async with self._opened().post(URL(url, encoded=True), data=_written(form), headers={**headers, **WRITTEN},
                                           allow_redirects=False) as response:
                body = await response.content.read(LONGEST_ANSWER)
                while not response.content.at_eof() and len(body) < LONGEST_ANSWER:
                    body += await response.content.read(LONGEST_ANSWER - len(body))
                return Answer(response.status, response.headers, body)
        except UnicodeError:
            fault = Rejected("unencodable")
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            fault = Misconfigured("address")
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError,
                aiohttp.ConnectionTimeoutError) as error:
            fault = Unavailable(_why(error))
        except TimeoutError:
            fault = Unknown("read_timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            fault = Unknown("line_broke")
        raise fault

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S), timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True)
        return self._session


def _written(form: Mapping[str, Any]) -> bytes:
    """Read as what `urlencode` writes, in a sixth of the time. yarl leaves out what has no encoding: it raises here."""
    fields = {name: str(value) for name, value in form.items()}
    "".join(fields.values()).encode()
    return URL.build(query=fields).raw_query_string.encode()


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "no_such_host"
        case aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ConnectionTimeoutError():
            return "connect_timeout"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "refused"
    return "not_connected"
